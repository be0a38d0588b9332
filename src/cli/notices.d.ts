// Texts that are files to the program, beside it or in the binary: an import gives the path.

declare module "*.txt" {
  const path: string;
  export default path;
}

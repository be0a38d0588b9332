// Declares the import of a text file as its path.

declare module "*.txt" {
  const path: string;
  export default path;
}

// Compiles an expression: something to evaluate, or its faults with their positions.

import type { Engine, Evaluation } from "./engine.ts";
import { sharedEngine } from "./engine.ts";
import { placeOf, toErrorText } from "./error-text.ts";
import { prepareTree, type ExpressionError } from "./syntax.ts";

export interface Expression {
  /** Never rejects. `toInput` makes what the expression sees, and may change. */
  readonly evaluate: (toInput: () => object, signal: AbortSignal) => Promise<Evaluation>;
}

type Compiled =
  | { readonly kind: "compiled"; readonly expression: Expression }
  | { readonly kind: "faulty"; readonly fault: ExpressionError };

export const MAX_EXPRESSION = 8192;

export function compile(text: string): Compiled {
  const engine = sharedEngine();
  try {
    const expression = engine.parse(text);
    const [fault] = prepareTree(expression.ast(), engine.patterns);
    if (fault !== undefined) return { kind: "faulty", fault };
    return { kind: "compiled", expression: toExpression(engine, expression) };
  } catch (error) {
    const message = error instanceof RangeError ? "it is nested too deeply" : toErrorText(error);
    return { kind: "faulty", fault: { message, position: placeOf(error) } };
  }
}

function toExpression(engine: Engine, expression: ReturnType<Engine["parse"]>): Expression {
  return { evaluate: (toInput, signal) => engine.evaluate(expression, { toInput, signal }) };
}

/** Turns the path of a field in our own request types into the path the client sent. */
export type WireParam = (param: string) => string;

/** Warnings begin with the path of their field and a colon. */
export function warningWithWireParam(warning: string, toWire: WireParam): string {
  return warning.replace(/^[\w.[\]]+(?=: )/, toWire);
}

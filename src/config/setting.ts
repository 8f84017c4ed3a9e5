import { type Static, type TSchema } from "typebox";

/** One setting: its type, its name in each place, and how text becomes a value. */
export interface Setting<S extends TSchema = TSchema> {
  /** Without dashes, for example `max-queue`. */
  flag: string;
  /** One letter, or null. */
  short: string | null;
  /** Another flag that means the same. */
  otherFlag: string | null;
  /** Environment variables that set it, the strongest first. Empty = flag only. */
  env: readonly string[];
  /** Key in the configuration file; null = not settable there. */
  fileKey: string | null;
  /** What stands after the flag in help; null = a switch that takes no argument. */
  argument: string | null;
  /** What the flag alone means, for a flag whose argument may be left out; null = required. */
  bareValue: string | null;
  /** A flag given twice adds to the list, instead of replacing it. */
  isList: boolean;
  /** Splits an environment variable into the items of a list; null = one item. */
  envSeparator: string | null;
  /** Its value is never shown. */
  isSecret: boolean;
  help: string;
  /** Type and range of the value; checked after `read`. */
  schema: S;
  fallback: Static<S>;
  /** Completes "... is not". */
  accepts: string;
  /** What is wrong with a value that the schema refuses, one clause each; null = `accepts` says it. */
  explain: ((value: unknown) => string[]) | null;
  /** A value out of the words given; something the schema refuses when they make no sense. */
  read(texts: readonly string[]): unknown;
  /** A value out of JSON of the configuration file; the schema decides about the result. */
  fromFile(value: unknown): unknown;
}

/** What every kind of setting is made with. */
export interface Common {
  flag: string;
  help: string;
  short?: string;
  otherFlag?: string;
  fileKey?: string;
  /** Weaker environment variables besides `LMSERVER_<FLAG>`. */
  otherEnv?: readonly string[];
  /** Only a flag: neither environment nor file. */
  flagOnly?: boolean;
}

const variableOf = (flag: string): string => `LMSERVER_${flag.toUpperCase().replaceAll("-", "_")}`;

/** The variable that means the opposite, as `--no-x` does; null for all but switches. */
export const negatedVariable = ({ flag, env, argument }: Setting): string | null =>
  argument === null && env.length > 0 ? variableOf(`no-${flag}`) : null;

function common(
  options: Common,
): Omit<Setting, "schema" | "fallback" | "accepts" | "explain" | "read" | "fromFile" | "argument"> {
  const { flag, flagOnly = false } = options;
  const { otherFlag = null } = options;
  const variables = [flag, ...(otherFlag === null ? [] : [otherFlag])].map(variableOf);
  const key = flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return {
    flag,
    short: options.short ?? null,
    otherFlag,
    env: flagOnly ? [] : [...variables, ...(options.otherEnv ?? [])],
    fileKey: flagOnly ? null : (options.fileKey ?? key),
    bareValue: null,
    isList: false,
    envSeparator: null,
    isSecret: false,
    help: options.help,
  };
}

/** The word that counts when a flag is given twice. */
export const last = (texts: readonly string[]): string => texts.at(-1) ?? "";
const asItIs = (value: unknown): unknown => value;

/** A custom kind: the schema, and how words become its value. */
export function setting<S extends TSchema>(
  options: Common &
    Pick<Setting<S>, "schema" | "fallback" | "accepts" | "argument" | "read"> &
    Partial<Pick<Setting<S>, "fromFile" | "bareValue" | "isList" | "envSeparator" | "explain">>,
): Setting<S> {
  const { schema, fallback, accepts, argument, read, fromFile = asItIs } = options;
  return {
    ...common(options),
    bareValue: options.bareValue ?? null,
    isList: options.isList ?? false,
    envSeparator: options.envSeparator ?? null,
    explain: options.explain ?? null,
    schema,
    fallback,
    accepts,
    argument,
    read,
    fromFile,
  };
}

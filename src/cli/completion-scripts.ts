import type { CompletionFlag, CompletionVerb } from "./completion-words.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that teaches a shell the verbs and flags. */
export function completionScript(shell: Shell, verbs: readonly CompletionVerb[]): string {
  const scripts = { bash, zsh, fish };
  return scripts[shell](verbs);
}

const spellings = ({ name, short }: CompletionFlag): string[] =>
  short === null ? [`--${name}`] : [`--${name}`, `-${short}`];

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bash(verbs: readonly CompletionVerb[]): string {
  const values = verbs.flatMap(({ name, flags }) =>
    flags.flatMap((flag) => {
      const words = bashValues(flag);
      if (words === null) return [];
      const patterns = spellings(flag).map((spelling) => `"${name} ${spelling}"`);
      return [`    ${patterns.join("|")}) ${words}; return ;;`];
    }),
  );
  const words = verbs.map(({ name, flags, words: operands, takesFile }) => {
    const all = [...operands, ...flags.flatMap(spellings)].join(" ");
    const files = takesFile ? ` [[ "$cur" != -* ]] && { _lmserver_paths -f "$cur"; return; };` : "";
    return `    ${name})${files} words="${all}" ;;`;
  });
  return [
    '# lmserver for bash: eval "$(lmserver completions bash)"',
    ...BASH_PATHS,
    "_lmserver() {",
    '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" verb="" words=""',
    '  (( COMP_CWORD > 1 )) && verb="${COMP_WORDS[1]}"',
    '  [[ "${COMP_WORDS[1]}" == -* ]] && verb="serve"',
    // Bash takes the sign of `--flag=value` for a word.
    '  [[ "$prev" == "=" ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"',
    '  [[ "$cur" == "=" ]] && cur=""',
    "  COMPREPLY=()",
    '  case "$verb $prev" in',
    ...values,
    "  esac",
    '  case "$verb" in',
    `    "") words="${verbs.map(({ name }) => name).join(" ")}" ;;`,
    ...words,
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -o default -F _lmserver lmserver",
  ].join("\n");
}

/** Names may hold blanks, and a folder is not the end of a path. The Bash 3 of macOS has no `compopt`. */
const BASH_PATHS = [
  "_lmserver_paths() {",
  "  local path",
  "  compopt -o filenames 2> /dev/null",
  '  while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$1" -- "$2")',
  "}",
];

/** null = the flag takes nothing. */
function bashValues({ offer }: CompletionFlag): string | null {
  const values = {
    none: null,
    words: `COMPREPLY=($(compgen -W "${offer.words.join(" ")}" -- "$cur"))`,
    files: '_lmserver_paths -f "$cur"',
    folders: '_lmserver_paths -d "$cur"',
    any: "COMPREPLY=()",
  };
  return values[offer.kind];
}

function zsh(verbs: readonly CompletionVerb[]): string {
  const escaped = (text: string): string => text.replaceAll(/[[\]:\\]/g, "\\$&");
  const cases = verbs.map(({ name, flags, words, takesFile }) => {
    const specs = flags.flatMap((flag) =>
      spellings(flag).map((spelling) =>
        quoted(`*${spelling}[${escaped(flag.help)}]${zshValues(flag)}`),
      ),
    );
    if (words.length > 0) specs.push(quoted(`1:word:(${words.join(" ")})`));
    if (takesFile) specs.push(quoted("1:file:_files"));
    // Without a place for further words nothing is offered behind them.
    specs.push(quoted("*:word:()"));
    return `    ${name}) _arguments -s ${specs.join(" ")} ;;`;
  });
  return [
    "#compdef lmserver",
    '# lmserver for zsh: eval "$(lmserver completions zsh)"',
    "_lmserver() {",
    "  local -a verbs",
    "  verbs=(",
    ...verbs.map(({ name, summary }) => `    ${quoted(`${name}:${escaped(summary)}`)}`),
    "  )",
    '  if [[ "$words[2]" == -* ]]; then words[1]=serve',
    "  elif (( CURRENT == 2 )); then _describe verb verbs; return",
    "  else shift words; (( CURRENT-- )); fi",
    '  if [[ "$PREFIX" == --*=* ]]; then',
    '    words[CURRENT]=("${words[CURRENT]%%=*}" "${words[CURRENT]#*=}")',
    "    compset -P 1 '*='",
    "    (( CURRENT++ ))",
    "  fi",
    '  case "$words[1]" in',
    ...cases,
    "  esac",
    "}",
    'if [[ "$funcstack[1]" == _lmserver ]]; then _lmserver "$@"; else compdef _lmserver lmserver; fi',
  ].join("\n");
}

function zshValues({ offer, name }: CompletionFlag): string {
  const values = {
    none: "",
    words: `:${name}:(${offer.words.join(" ")})`,
    files: `:${name}:_files`,
    folders: `:${name}:_files -/`,
    any: `:${name}: `,
  };
  return values[offer.kind];
}

function fish(verbs: readonly CompletionVerb[]): string {
  const escaped = (text: string): string => `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
  const lines = verbs.flatMap(({ name, summary, flags, words, takesFile }) => {
    // Flags without a verb are those of `serve`.
    const accepted = name === "serve" ? "serve ''" : name;
    const within = `complete -c lmserver -n ${escaped(`__lmserver_verb_is ${accepted}`)}`;
    const verb = `complete -c lmserver -n "__lmserver_verb_is ''" -a ${name} -d ${escaped(summary)}`;
    const operands = words.length > 0 ? [`${within} -a ${escaped(words.join(" "))}`] : [];
    const options = flags.map((flag) => {
      const short = flag.short === null ? "" : ` -s ${flag.short}`;
      return `${within} -l ${flag.name}${short}${fishValues(flag)} -d ${escaped(flag.help)}`;
    });
    return [verb, ...operands, ...(takesFile ? [`${within} -F`] : []), ...options];
  });
  return [
    "# lmserver for fish: lmserver completions fish | source",
    ...FISH_VERB,
    "complete -c lmserver -f",
    ...lines,
  ].join("\n");
}

/** The verb is the first word; others may look like one. */
const FISH_VERB = [
  "function __lmserver_verb_is",
  "  set -l words (commandline -opc)",
  '  set -l verb "$words[2]"',
  "  string match -q -- '-*' \"$verb\"; and set verb serve",
  '  contains -- "$verb" $argv',
  "end",
];

function fishValues({ offer }: CompletionFlag): string {
  const values = {
    none: "",
    words: ` -x -a '${offer.words.join(" ")}'`,
    files: " -r -F",
    folders: " -x -a '(__fish_complete_directories)'",
    any: " -x",
  };
  return values[offer.kind];
}

import type { LoadDefaults } from "./pool.ts";

/** What a load with these settings brought. @param contextLength of the loaded model; null = unknown. */
export function settingsInEffect(
  settings: LoadDefaults,
  contextLength: number | null,
): LoadDefaults {
  return withFlashAttention({
    ...settings,
    contextLength: contextLength ?? settings.contextLength,
  });
}

/** Whether a load that asks for this would bring the same as what is in effect. */
export const holds = (effective: LoadDefaults, asked: Partial<LoadDefaults>): boolean =>
  Bun.deepEquals({ ...effective, ...withFlashAttention(asked) }, effective);

/** "auto" is on, wherever it can be. */
function withFlashAttention<Settings extends Partial<LoadDefaults>>(settings: Settings): Settings {
  return settings.flashAttention === "auto" ? { ...settings, flashAttention: "on" } : settings;
}

import { Type, type Static } from "typebox";
import type { DraftCounts } from "../protocol/events.ts";

/** What LM Studio tells of speculative decoding; absent without a draft model. */
export const draftFields = {
  draft_model: Type.Optional(Type.String({ description: "Key of the draft model." })),
  total_draft_tokens_count: Type.Optional(Type.Integer({ description: "Tokens it guessed." })),
  accepted_draft_tokens_count: Type.Optional(Type.Integer({ description: "Those sampled too." })),
  rejected_draft_tokens_count: Type.Optional(Type.Integer({ description: "Those found wrong." })),
  ignored_draft_tokens_count: Type.Optional(
    Type.Integer({ description: "Those after a wrong one, or after the end." }),
  ),
};
const DraftStats = Type.Object(draftFields);
type DraftStats = Static<typeof DraftStats>;

export function toDraftStats(drafts: DraftCounts | undefined): DraftStats {
  if (drafts === undefined) return {};
  return {
    draft_model: drafts.model,
    total_draft_tokens_count: drafts.total,
    accepted_draft_tokens_count: drafts.accepted,
    rejected_draft_tokens_count: drafts.rejected,
    ignored_draft_tokens_count: drafts.ignored,
  };
}

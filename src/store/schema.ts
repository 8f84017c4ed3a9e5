/** Made by the first version. */
const TABLE = `
  CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    previous TEXT,
    created_ms INTEGER NOT NULL,
    used INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX responses_by_use ON responses (used);
  CREATE INDEX responses_by_age ON responses (created_ms);
`;

/**
 * `continued` is the number of rows that continue a row. Those that none continues, the ends of chats, are
 * found by use and by age without a look at the others.
 */
const ENDS = `
  ALTER TABLE responses ADD COLUMN continued INTEGER NOT NULL DEFAULT 0;
  UPDATE responses SET continued = next.count FROM (
    SELECT previous AS id, count(*) AS count FROM responses WHERE previous IS NOT NULL GROUP BY previous
  ) AS next WHERE next.id = responses.id;
  CREATE TRIGGER responses_continue AFTER INSERT ON responses WHEN NEW.previous IS NOT NULL BEGIN
    UPDATE responses SET continued = continued + 1 WHERE id = NEW.previous;
  END;
  CREATE TRIGGER responses_end AFTER DELETE ON responses WHEN OLD.previous IS NOT NULL BEGIN
    UPDATE responses SET continued = continued - 1 WHERE id = OLD.previous;
  END;
  DROP INDEX responses_by_use;
  DROP INDEX responses_by_age;
  CREATE INDEX ends_by_use ON responses (used) WHERE continued = 0;
  CREATE INDEX ends_by_age ON responses (created_ms) WHERE continued = 0;
`;

/** What each version adds to the one before it; a file's `user_version` says how many it has. */
export const SCHEMA_STEPS: readonly string[] = [TABLE, ENDS];

//! Version 5 of the tables in PostgreSQL: the cause of a state and the reason for it have a column each.

// `cause` held `word: sentence` for what waits, and the sentence alone for what was turned down. Which word a refusal had is not known
// any more. Version 4 of SQLite's tables is the same.
pub(super) const CAUSE_AND_REASON: &str = r#"
ALTER TABLE submissions ADD COLUMN reason text;
DROP TRIGGER closed_stay ON submissions;
UPDATE submissions SET reason = cause, cause = CASE state WHEN 'conflicting' THEN 'differs' END
    WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER closed_stay BEFORE UPDATE ON submissions FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)
    EXECUTE FUNCTION refuse_unless_retiring('a closed submission cannot be changed');
UPDATE submissions SET
        cause = CASE WHEN cause ~ '^[a-z-]+: ' THEN split_part(cause, ': ', 1) END,
        reason = CASE WHEN cause ~ '^[a-z-]+: ' THEN nullif(substr(cause, strpos(cause, ': ') + 2), '') ELSE cause END
    WHERE closed_at IS NULL AND cause IS NOT NULL;
"#;

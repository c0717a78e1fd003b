//! Version 4 of the tables in PostgreSQL: a task is finished by its first submission, so an accept writes one row.

// Only its first submission (`finishes`) stores how and when a task ended. `plans` holds what was planned, and the view
// `tasks` shows both. The unique key of first submissions is also the lock of a task: accepting takes it by inserting,
// and changing a plan takes it by inserting a row and deleting it again. Both wait there for each other.
pub(super) const FIRST_FINISHES: &str = r#"
CREATE TABLE plans (
    task_id text COLLATE "C" PRIMARY KEY,
    plan_id text,
    plan_steps text,
    agent_pool text,
    agent_id text,
    dispatch_timestamp text,
    start_time text,
    services_touched text,
    metadata text,
    created_at bigint NOT NULL,
    revision bigint NOT NULL
);
INSERT INTO plans SELECT task_id, plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
    metadata, created_at, revision FROM tasks WHERE revision > 0;
DROP TABLE tasks;

-- True for the first submission of a task, NULL for all others.
ALTER TABLE submissions ADD COLUMN finishes boolean DEFAULT true CHECK (finishes);
DROP TRIGGER closed_stay ON submissions;
UPDATE submissions s SET finishes = NULL
    WHERE EXISTS (SELECT 1 FROM submissions f WHERE f.task_id = s.task_id AND f.sequence < s.sequence);
ALTER TABLE submissions ALTER COLUMN finishes DROP DEFAULT;
CREATE UNIQUE INDEX submissions_of_task ON submissions (task_id, finishes);
CREATE UNIQUE INDEX submissions_by_fingerprint ON submissions (task_id, fingerprint) WHERE finishes IS NULL;
DROP INDEX submissions_by_task;

-- Retiring the first submission of a task makes the next one the first.
CREATE TRIGGER closed_stay BEFORE UPDATE ON submissions FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)
    EXECUTE FUNCTION refuse_unless_retiring('a closed submission cannot be changed');
CREATE TRIGGER say_what_they_said BEFORE UPDATE ON submissions FOR EACH ROW WHEN (OLD.closed_at IS NULL
        AND (OLD.sequence, OLD.task_id, OLD.status, OLD.kind, OLD.keyed, OLD.trace_id, OLD.reporter, OLD.accepted_at, OLD.finishes)
            IS DISTINCT FROM
            (NEW.sequence, NEW.task_id, NEW.status, NEW.kind, NEW.keyed, NEW.trace_id, NEW.reporter, NEW.accepted_at, NEW.finishes))
    EXECUTE FUNCTION refuse_unless_retiring('what was submitted cannot be changed');
-- A row that only locks a task is deleted by the trigger that inserted it.
DROP TRIGGER are_kept ON submissions;
CREATE TRIGGER are_kept BEFORE DELETE ON submissions FOR EACH ROW
    WHEN (OLD.state NOT IN ('conflicting', 'refused') AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION refuse('a submission cannot be deleted');

-- Refuses to change the plan of a finished task. Otherwise nothing is accepted for the task until the transaction ends.
CREATE FUNCTION refuse_if_finished() RETURNS trigger LANGUAGE plpgsql
    AS $$
    DECLARE
        task text := CASE TG_OP WHEN 'DELETE' THEN OLD.task_id ELSE NEW.task_id END;
        lock bigint;
    BEGIN
        IF TG_OP = 'UPDATE' AND OLD.task_id <> NEW.task_id THEN
            RAISE EXCEPTION 'a plan stays with its task' USING ERRCODE = 'restrict_violation';
        END IF;
        INSERT INTO submissions (task_id, status, kind, text, keyed, accepted_at, finishes)
            VALUES (task, '', 'outcome', '', false, 0, true)
            ON CONFLICT (task_id, finishes) DO NOTHING RETURNING sequence INTO lock;
        IF lock IS NULL THEN
            RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
        END IF;
        DELETE FROM submissions WHERE sequence = lock;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END $$;
CREATE TRIGGER of_finished_stay BEFORE INSERT OR UPDATE ON plans FOR EACH ROW
    EXECUTE FUNCTION refuse_if_finished('a finished task cannot be changed');
CREATE TRIGGER of_finished_are_kept BEFORE DELETE ON plans FOR EACH ROW
    EXECUTE FUNCTION refuse_if_finished('a finished task cannot be deleted');
CREATE TRIGGER are_not_truncated BEFORE TRUNCATE ON plans
    EXECUTE FUNCTION refuse('a finished task cannot be deleted');

CREATE VIEW tasks AS
    SELECT p.task_id, p.plan_id, p.plan_steps, p.agent_pool, p.agent_id, p.dispatch_timestamp, p.start_time,
        p.services_touched, p.metadata, p.created_at, p.revision, s.status AS finished_status, s.accepted_at AS finished_at
    FROM plans p LEFT JOIN submissions s ON s.task_id = p.task_id AND s.finishes
    UNION ALL
    SELECT s.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.accepted_at, 0, s.status, s.accepted_at
    FROM submissions s WHERE s.finishes AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.task_id = s.task_id);
CREATE FUNCTION refuse_in_view() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN
        IF TG_OP <> 'INSERT' AND OLD.finished_at IS NOT NULL THEN
            RAISE EXCEPTION 'a finished task cannot be %', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
        END IF;
        RAISE EXCEPTION 'a task is % in plans', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
    END $$;
CREATE TRIGGER are_added_in_plans INSTEAD OF INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION refuse_in_view('added');
CREATE TRIGGER are_changed_in_plans INSTEAD OF UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION refuse_in_view('changed');
CREATE TRIGGER are_deleted_in_plans INSTEAD OF DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION refuse_in_view('deleted');

-- Accepts submissions, each task and fingerprint once, in one round trip. They are passed in the order of their tasks, which is
-- the order of locks. For each one `answers` has `taken` (its sequence number is in `places`), `repeated` (the earlier one's number
-- is in `places`), `changed` (its plan has changed) or `unremembered` (the task has an entry, and the caller can compare it). If
-- none of the tasks had been reported before, `answers` and `differ` are NULL.
DROP FUNCTION take_in;
CREATE FUNCTION accept(mark text, epoch bigint, task_ids text[], statuses text[], kinds text[], texts text[], documents text[],
    fingerprints bytea[], formers bytea[], keyeds boolean[], revisions bigint[], may_compares boolean[], trace_ids text[],
    reporters text[], OUT places bigint[], OUT answers text[], OUT differ boolean[])
    -- Its plans are those of keys, whatever the values: to make them for each call costs more than to run them.
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan
    AS $$
    #variable_conflict use_column
    DECLARE
        moment CONSTANT bigint := now_micros();
        made_from_plans CONSTANT boolean := EXISTS (SELECT 1 FROM unnest(revisions) r WHERE r IS NOT NULL);
        first_places bigint[];
        first_tasks text[];
        first_fingerprints bytea[];
        known bigint[];
    BEGIN
        PERFORM check_session(mark);
        IF epoch IS NOT NULL AND epoch <> (SELECT m.trail_epoch FROM meta m) THEN
            RAISE EXCEPTION 'the store was bound to a trail meanwhile' USING ERRCODE = 'CA001';
        END IF;
        -- The first of each task that has none.
        WITH firsts AS (
            INSERT INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, accepted_at,
                next_attempt, finishes)
            SELECT g.id, g.status, g.kind, g.text, g.document, g.fingerprint, g.keyed, g.trace_id, g.reporter, moment, moment, true
            FROM unnest(task_ids, statuses, kinds, texts, documents, fingerprints, keyeds, trace_ids, reporters, revisions)
                AS g (id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, revision)
            WHERE g.revision IS NULL OR g.revision = coalesce((SELECT p.revision FROM plans p WHERE p.task_id = g.id), 0)
            ON CONFLICT (task_id, finishes) DO NOTHING RETURNING sequence, task_id, fingerprint
        )
        SELECT array_agg(f.sequence ORDER BY f.sequence), array_agg(f.task_id ORDER BY f.sequence),
            array_agg(f.fingerprint ORDER BY f.sequence)
        INTO first_places, first_tasks, first_fingerprints FROM firsts f;
        IF made_from_plans AND EXISTS (
            SELECT 1 FROM unnest(first_tasks, first_fingerprints) AS f (id, fingerprint)
                JOIN unnest(task_ids, fingerprints, revisions) AS g (id, fingerprint, revision)
                    ON g.id = f.id AND g.fingerprint = f.fingerprint
                LEFT JOIN plans p ON p.task_id = f.id
            WHERE g.revision <> coalesce(p.revision, 0)
        ) THEN
            -- The plan was changed while its transaction was waited for. From now on none can be.
            RAISE EXCEPTION 'a plan was changed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
        IF first_places IS NOT NULL AND first_tasks = task_ids THEN
            places := first_places;
            RETURN;
        END IF;
        -- What is found of these tasks stays: the first of a task is deleted only by a transaction that has locked it.
        PERFORM 1 FROM submissions s WHERE s.task_id = ANY (task_ids) AND s.finishes
            AND s.sequence <> ALL (coalesce(first_places, '{}')) ORDER BY s.task_id FOR KEY SHARE;
        SELECT array_agg(d.answer ORDER BY d.place), array_agg(d.known ORDER BY d.place), array_agg(d.differs ORDER BY d.place)
        INTO answers, known, differ FROM (
            SELECT g.place, coalesce(f.sequence, s.sequence) AS known,
                CASE
                    WHEN f.sequence IS NOT NULL THEN 'taken'
                    WHEN s.sequence IS NOT NULL THEN 'repeated'
                    WHEN g.revision <> coalesce(p.revision, 0) THEN 'changed'
                    WHEN g.may_compare AND EXISTS (SELECT 1 FROM submissions c WHERE c.task_id = g.id
                        AND c.state = 'committed') THEN 'unremembered'
                    WHEN EXISTS (SELECT 1 FROM submissions a WHERE a.task_id = g.id AND a.finishes) THEN 'taken'
                    ELSE 'gone'
                END AS answer,
                f.sequence IS NULL AND (EXISTS (SELECT 1 FROM submissions o WHERE o.task_id = g.id AND o.fingerprint IS NOT NULL)
                    OR row_number() OVER (PARTITION BY g.id ORDER BY g.place) > 1) AS differs
            FROM unnest(task_ids, fingerprints, formers, revisions, may_compares) WITH ORDINALITY
                    AS g (id, fingerprint, former, revision, may_compare, place)
                LEFT JOIN unnest(first_places, first_tasks, first_fingerprints) AS f (sequence, id, fingerprint)
                    ON f.id = g.id AND f.fingerprint = g.fingerprint
                LEFT JOIN plans p ON p.task_id = g.id
                LEFT JOIN LATERAL (
                    SELECT k.sequence FROM submissions k WHERE k.task_id = g.id AND k.finishes
                        AND k.fingerprint IN (g.fingerprint, g.former)
                    UNION ALL
                    SELECT k.sequence FROM submissions k WHERE k.task_id = g.id AND k.finishes IS NULL
                        AND k.fingerprint IN (g.fingerprint, g.former)
                    LIMIT 1
                ) s ON f.sequence IS NULL
        ) d;
        WITH others AS (
            INSERT INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, accepted_at,
                next_attempt)
            SELECT g.id, g.status, g.kind, g.text, g.document, g.fingerprint, g.keyed, g.trace_id, g.reporter, moment, moment
            FROM unnest(task_ids, statuses, kinds, texts, documents, fingerprints, keyeds, trace_ids, reporters, answers, known)
                WITH ORDINALITY
                AS g (id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, answer, known, place)
            WHERE g.answer = 'taken' AND g.known IS NULL ORDER BY g.place
            ON CONFLICT (task_id, fingerprint) WHERE finishes IS NULL DO NOTHING RETURNING sequence, task_id, fingerprint
        )
        SELECT array_agg(coalesce(g.known, o.sequence) ORDER BY g.place) INTO places
        FROM unnest(task_ids, fingerprints, known) WITH ORDINALITY AS g (id, fingerprint, known, place)
            LEFT JOIN others o ON g.known IS NULL AND o.task_id = g.id AND o.fingerprint = g.fingerprint;
        IF EXISTS (SELECT 1 FROM unnest(answers, places) AS g (answer, place)
            WHERE g.answer = 'gone' OR (g.answer = 'taken' AND g.place IS NULL)) THEN
            -- Another host has taken in the same, or deleted what was the first, since this statement began.
            RAISE EXCEPTION 'a submission was changed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END $$;
"#;

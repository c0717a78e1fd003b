SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA chiffon_audit;
COMMENT ON SCHEMA chiffon_audit IS 'store of chiffon-audit, version 3';
CREATE FUNCTION chiffon_audit.check_session(mark text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$ BEGIN
        IF current_setting('chiffon_audit.session', true) IS DISTINCT FROM mark OR current_setting('synchronous_commit') = 'off' THEN
            RAISE EXCEPTION 'the session is not set up' USING ERRCODE = 'CA002';
        END IF;
        RETURN true;
    END $$;
CREATE FUNCTION chiffon_audit.now_micros() RETURNS bigint
    LANGUAGE sql
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;
CREATE FUNCTION chiffon_audit.refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END $$;
CREATE FUNCTION chiffon_audit.refuse_unless_repairing() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
        IF current_setting('chiffon_audit.repairing', true) IS DISTINCT FROM 'on' THEN
            RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
        END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END $$;
CREATE FUNCTION chiffon_audit.refuse_unless_retiring() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
        IF current_setting('chiffon_audit.retiring', true) IS DISTINCT FROM 'on' THEN
            RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
        END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW;
    END $$;
CREATE FUNCTION chiffon_audit.take_in(mark text, epoch bigint, task_ids text[], statuses text[], kinds text[], texts text[], documents text[], fingerprints bytea[], formers bytea[], keyeds boolean[], revisions bigint[], may_compares boolean[], trace_ids text[], reporters text[], OUT answers text[], OUT known bigint[], OUT differ boolean[], OUT sequences bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
    #variable_conflict use_column
    DECLARE
        moment CONSTANT bigint := now_micros();
        made text[];
    BEGIN
        PERFORM check_session(mark);
        IF epoch IS NOT NULL AND epoch <> (SELECT m.trail_epoch FROM meta m) THEN
            RAISE EXCEPTION 'the store was bound to a trail meanwhile' USING ERRCODE = 'CA001';
        END IF;
        WITH firsts AS (
            SELECT DISTINCT ON (g.id COLLATE "C") g.id, g.status, g.revision
            FROM unnest(task_ids, statuses, revisions) WITH ORDINALITY AS g (id, status, revision, place)
            ORDER BY g.id COLLATE "C", g.place
        ), fresh AS (
            INSERT INTO tasks (task_id, created_at, finished_status, finished_at)
            SELECT f.id, moment, f.status, moment FROM firsts f WHERE coalesce(f.revision, 0) = 0
            ORDER BY f.id COLLATE "C" ON CONFLICT DO NOTHING RETURNING task_id
        )
        SELECT array_agg(f.task_id) INTO made FROM fresh f;
        IF cardinality(made) = cardinality(task_ids) THEN
            -- All are of tasks that nobody knew.
            answers := array_fill('taken'::text, ARRAY[cardinality(task_ids)]);
            known := array_fill(NULL::bigint, ARRAY[cardinality(task_ids)]);
            differ := array_fill(false, ARRAY[cardinality(task_ids)]);
        ELSE
            PERFORM 1 FROM tasks t WHERE t.task_id = ANY (task_ids) AND t.task_id <> ALL (coalesce(made, '{}'))
                ORDER BY t.task_id FOR UPDATE;
            SELECT array_agg(d.answer ORDER BY d.place), array_agg(d.sequence ORDER BY d.place),
                array_agg(d.differs ORDER BY d.place)
            INTO answers, known, differ FROM (
                SELECT g.place, s.sequence,
                    CASE
                        WHEN s.sequence IS NOT NULL THEN 'repeated'
                        WHEN g.revision IS NOT NULL AND g.revision <> coalesce(t.revision, 0) THEN 'changed'
                        WHEN g.may_compare AND EXISTS (SELECT 1 FROM submissions c WHERE c.task_id = g.id
                            AND c.state = 'committed') THEN 'unremembered'
                        ELSE 'taken'
                    END AS answer,
                    EXISTS (SELECT 1 FROM submissions o WHERE o.task_id = g.id AND o.fingerprint IS NOT NULL)
                        OR row_number() OVER (PARTITION BY g.id ORDER BY g.place) > 1 AS differs
                FROM unnest(task_ids, fingerprints, formers, revisions, may_compares) WITH ORDINALITY
                        AS g (id, fingerprint, former, revision, may_compare, place)
                    LEFT JOIN tasks t ON t.task_id = g.id
                    LEFT JOIN LATERAL (SELECT k.sequence FROM submissions k WHERE k.task_id = g.id
                        AND k.fingerprint IN (g.fingerprint, g.former) LIMIT 1) s ON true
            ) d;
            INSERT INTO tasks AS t (task_id, created_at, finished_status, finished_at)
            SELECT DISTINCT ON (g.id COLLATE "C") g.id, moment, g.status, moment
            FROM unnest(task_ids, statuses, answers) WITH ORDINALITY AS g (id, status, answer, place)
            WHERE g.answer = 'taken' ORDER BY g.id COLLATE "C", g.place
            ON CONFLICT (task_id) DO UPDATE SET finished_status = excluded.finished_status,
                finished_at = excluded.finished_at WHERE t.finished_at IS NULL;
        END IF;
        WITH taken AS (
            INSERT INTO submissions (task_id, status, kind, text, document, fingerprint, keyed, trace_id, reporter,
                accepted_at, next_attempt)
            SELECT g.id, g.status, g.kind, g.text, g.document, g.fingerprint, g.keyed, g.trace_id, g.reporter, moment, moment
            FROM unnest(task_ids, statuses, kinds, texts, documents, fingerprints, keyeds, trace_ids, reporters, answers)
                WITH ORDINALITY
                AS g (id, status, kind, text, document, fingerprint, keyed, trace_id, reporter, answer, place)
            WHERE g.answer = 'taken' ORDER BY g.place RETURNING sequence
        )
        SELECT array_agg(i.sequence ORDER BY i.sequence) INTO sequences FROM taken i;
    END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE chiffon_audit.entries (
    id bigint NOT NULL,
    task_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    plan_id text,
    intent text COLLATE pg_catalog."C",
    agent_pool text,
    agent_id text,
    services text NOT NULL,
    recorded_at bigint NOT NULL,
    commit_id text NOT NULL,
    path text NOT NULL,
    text text NOT NULL,
    reporter text COLLATE pg_catalog."C",
    "position" bigint
);
ALTER TABLE chiffon_audit.entries ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME chiffon_audit.entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE chiffon_audit.entry_services (
    service text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    task_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    intent text COLLATE pg_catalog."C",
    entry bigint NOT NULL
);
CREATE TABLE chiffon_audit.entry_totals (
    unit smallint NOT NULL,
    bucket bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE chiffon_audit.fingerprint_key (
    one boolean DEFAULT true NOT NULL,
    key bytea NOT NULL,
    CONSTRAINT fingerprint_key_key_check CHECK ((octet_length(key) = 32)),
    CONSTRAINT fingerprint_key_one_check CHECK (one)
);
CREATE TABLE chiffon_audit.meta (
    one boolean DEFAULT true NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    rebuilding bigint,
    rebuilding_since bigint,
    lease_owner text,
    lease_fence bigint DEFAULT 0 NOT NULL,
    lease_renewed_at bigint DEFAULT 0 NOT NULL,
    lease_term bigint DEFAULT 0 NOT NULL,
    trail_uuid text,
    trail_first text,
    trail_last text,
    trail_last_at bigint,
    trail_epoch bigint DEFAULT 0 NOT NULL,
    former_last bigint,
    event_position bigint DEFAULT 0 NOT NULL,
    CONSTRAINT meta_one_check CHECK (one)
);
CREATE TABLE chiffon_audit.service_totals (
    service text NOT NULL COLLATE pg_catalog."C",
    unit smallint NOT NULL,
    bucket bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE chiffon_audit.submissions (
    sequence bigint NOT NULL,
    task_id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL,
    kind text NOT NULL,
    text text,
    document text,
    fingerprint bytea,
    keyed boolean NOT NULL,
    trace_id text,
    accepted_at bigint NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    cause text,
    violations text,
    attempts bigint DEFAULT 0 NOT NULL,
    attempted_at bigint,
    next_attempt bigint,
    closed_at bigint,
    commit_id text,
    path text,
    reporter text,
    CONSTRAINT submissions_check CHECK (((closed_at IS NULL) = (state = ANY (ARRAY['pending'::text, 'blocked'::text])))),
    CONSTRAINT submissions_check1 CHECK (((state = 'committed'::text) = ((commit_id IS NOT NULL) AND (path IS NOT NULL)))),
    CONSTRAINT submissions_check2 CHECK (((text IS NOT NULL) OR (state = 'committed'::text))),
    CONSTRAINT submissions_kind_check CHECK ((kind = ANY (ARRAY['outcome'::text, 'work-result'::text]))),
    CONSTRAINT submissions_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'blocked'::text, 'committed'::text, 'conflicting'::text, 'refused'::text])))
);
ALTER TABLE chiffon_audit.submissions ALTER COLUMN sequence ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME chiffon_audit.submissions_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE chiffon_audit.tasks (
    task_id text NOT NULL COLLATE pg_catalog."C",
    plan_id text,
    plan_steps text,
    agent_pool text,
    agent_id text,
    dispatch_timestamp text,
    start_time text,
    services_touched text,
    metadata text,
    created_at bigint NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    finished_status text,
    finished_at bigint,
    CONSTRAINT tasks_check CHECK (((finished_status IS NULL) = (finished_at IS NULL)))
);
INSERT INTO chiffon_audit.entries VALUES (1, 'planned-and-done', 'failed', 'p', 'p', NULL, NULL, '[]', 1796013518778587, '81630dfd8df6ea38693c381a54713bebe6815af7', '.audit/tasks/8/3/5/7/planned-and-done.json', '{
  "task_id": "planned-and-done",
  "status": "failed",
  "plan_id": "p",
  "plan_steps": [],
  "dispatch_info": {
    "agent_pool": null,
    "agent_id": null,
    "dispatch_timestamp": null
  },
  "execution_result": {
    "outcome": {
      "output": null,
      "error_message": null
    },
    "resources_used": {
      "duration_ms": null,
      "exit_code": null
    },
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "metadata": {
    "trace_id": null,
    "request_id": null
  },
  "timestamp": "2026-11-30T04:38:38.778587Z"
}
', 'deploy-bot', NULL);
INSERT INTO chiffon_audit.entries VALUES (2, 'reported', 'completed', NULL, NULL, NULL, NULL, '["","web"]', 1796013518797220, 'c695441fd7c0044ff45e790d80a2de913975bf31', '.audit/tasks/8/e/7/5/reported.json', '{
  "task_id": "reported",
  "status": "completed",
  "plan_id": null,
  "plan_steps": [],
  "dispatch_info": {
    "agent_pool": null,
    "agent_id": null,
    "dispatch_timestamp": null
  },
  "execution_result": {
    "outcome": {},
    "resources_used": {},
    "services_touched": [
      "web",
      ""
    ],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T04:38:38.797220Z"
}
', 'deploy-bot', NULL);
INSERT INTO chiffon_audit.entry_services VALUES ('', 1796013518797220, 'reported', 'completed', NULL, 2);
INSERT INTO chiffon_audit.entry_services VALUES ('web', 1796013518797220, 'reported', 'completed', NULL, 2);
INSERT INTO chiffon_audit.entry_totals VALUES (0, 20787, 'failed', 1);
INSERT INTO chiffon_audit.entry_totals VALUES (1, 29933558, 'failed', 1);
INSERT INTO chiffon_audit.entry_totals VALUES (0, 20787, 'completed', 1);
INSERT INTO chiffon_audit.entry_totals VALUES (1, 29933558, 'completed', 1);
INSERT INTO chiffon_audit.fingerprint_key VALUES (true, '\x0707070707070707070707070707070707070707070707070707070707070707');
INSERT INTO chiffon_audit.meta VALUES (true, 0, NULL, NULL, NULL, 1, 1796013517987390, 0, 'd04bac67-9418-4166-99e4-18fa71f20b9c', '02ee83b50a244ba3440b3289e498cdc227da11e3', 'c695441fd7c0044ff45e790d80a2de913975bf31', 1796013518797220, 1, NULL, 0);
INSERT INTO chiffon_audit.service_totals VALUES ('', 0, 20787, 'completed', 1);
INSERT INTO chiffon_audit.service_totals VALUES ('', 1, 29933558, 'completed', 1);
INSERT INTO chiffon_audit.service_totals VALUES ('web', 0, 20787, 'completed', 1);
INSERT INTO chiffon_audit.service_totals VALUES ('web', 1, 29933558, 'completed', 1);
INSERT INTO chiffon_audit.submissions VALUES (1, 'planned-and-done', 'failed', 'work-result', NULL, NULL, '\x2fa84ee28fa2e1bc678b2712c62dcd225b19e284e67a10114939c205e71afd7e', true, NULL, 1796013518775713, 'committed', NULL, NULL, 1, 1796013518780678, 1796013518775713, 1796013518780678, '81630dfd8df6ea38693c381a54713bebe6815af7', '.audit/tasks/8/3/5/7/planned-and-done.json', 'deploy-bot');
INSERT INTO chiffon_audit.submissions VALUES (2, 'reported', 'completed', 'outcome', NULL, NULL, '\xd0419178fd4f1514c9d417e81eaabf225357f1dc09aaef3600da9c2af3fa42d4', true, NULL, 1796013518795110, 'committed', NULL, NULL, 1, 1796013518798314, 1796013518795110, 1796013518798314, 'c695441fd7c0044ff45e790d80a2de913975bf31', '.audit/tasks/8/e/7/5/reported.json', 'deploy-bot');
INSERT INTO chiffon_audit.submissions VALUES (3, 'reported', 'failed', 'outcome', '{"task_id":"reported","status":"failed"}', NULL, '\xc72cb2512f54fbc64577de1f47d70856566ed161f04f68484abf7cee09f55be7', true, NULL, 1796013518809940, 'conflicting', 'policy: the task has an entry that differs in /execution_result/services_touched/0, /execution_result/services_touched/1 and /status; a task that is tried again is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)', NULL, 1, 1796013518811423, 1796013518809940, 1796013518811423, NULL, NULL, 'deploy-bot');
INSERT INTO chiffon_audit.submissions VALUES (4, 'waiting', 'cancelled', 'outcome', '{"task_id":"waiting","status":"cancelled"}', NULL, '\x2222222222222222222222222222222222222222222222222222222222222222', true, NULL, 1796013510000000, 'pending', NULL, NULL, 0, NULL, 1796013510000000, NULL, NULL, NULL, 'deploy-bot');
INSERT INTO chiffon_audit.submissions VALUES (5, 'waiting', 'completed', 'outcome', '{"task_id":"waiting","status":"completed"}', NULL, '\x3333333333333333333333333333333333333333333333333333333333333333', true, NULL, 1796013511000000, 'pending', NULL, NULL, 0, NULL, 1796013511000000, NULL, NULL, NULL, NULL);
INSERT INTO chiffon_audit.submissions VALUES (6, 'refused', 'failed', 'outcome', '{"task_id":"refused","status":"failed"}', NULL, NULL, true, NULL, 1796013510000000, 'refused', 'no', '[]', 1, 1796013512000000, 1796013510000000, 1796013512000000, NULL, NULL, NULL);
INSERT INTO chiffon_audit.tasks VALUES ('planned', 'p', '["one","two"]', NULL, NULL, NULL, NULL, NULL, NULL, 1796013518752637, 1, NULL, NULL);
INSERT INTO chiffon_audit.tasks VALUES ('planned-and-done', 'p', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1796013518768056, 1, 'failed', 1796013518775713);
INSERT INTO chiffon_audit.tasks VALUES ('reported', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1796013518795110, 0, 'completed', 1796013518795110);
INSERT INTO chiffon_audit.tasks VALUES ('waiting', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1796013510000000, 0, 'cancelled', 1796013510000000);
INSERT INTO chiffon_audit.tasks VALUES ('refused', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1796013510000000, 0, 'failed', 1796013510000000);
SELECT pg_catalog.setval('chiffon_audit.entries_id_seq', 2, true);
SELECT pg_catalog.setval('chiffon_audit.submissions_sequence_seq', 6, true);
ALTER TABLE ONLY chiffon_audit.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY chiffon_audit.entry_services
    ADD CONSTRAINT entry_services_pkey PRIMARY KEY (service, recorded_at, task_id) INCLUDE (intent, entry);
ALTER TABLE ONLY chiffon_audit.entry_totals
    ADD CONSTRAINT entry_totals_pkey PRIMARY KEY (unit, bucket, status);
ALTER TABLE ONLY chiffon_audit.fingerprint_key
    ADD CONSTRAINT fingerprint_key_pkey PRIMARY KEY (one);
ALTER TABLE ONLY chiffon_audit.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (one);
ALTER TABLE ONLY chiffon_audit.service_totals
    ADD CONSTRAINT service_totals_pkey PRIMARY KEY (service, unit, bucket, status);
ALTER TABLE ONLY chiffon_audit.submissions
    ADD CONSTRAINT submissions_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY chiffon_audit.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (task_id);
CREATE INDEX entries_intent_recorded_at_task_id_status_idx ON chiffon_audit.entries USING btree (intent, recorded_at, task_id, status) WHERE (intent IS NOT NULL);
CREATE INDEX entries_recorded_at_task_id_idx ON chiffon_audit.entries USING btree (recorded_at, task_id);
CREATE INDEX entries_reporter_recorded_at_task_id_idx ON chiffon_audit.entries USING btree (reporter, recorded_at, task_id) WHERE (reporter IS NOT NULL);
CREATE INDEX entries_status_recorded_at_task_id_idx ON chiffon_audit.entries USING btree (status, recorded_at, task_id);
CREATE UNIQUE INDEX entries_task_id_idx ON chiffon_audit.entries USING btree (task_id);
CREATE INDEX entry_services_service_status_recorded_at_task_id_entry_idx ON chiffon_audit.entry_services USING btree (service, status, recorded_at, task_id) INCLUDE (entry);
CREATE UNIQUE INDEX submissions_by_task ON chiffon_audit.submissions USING btree (task_id, fingerprint);
CREATE INDEX submissions_open ON chiffon_audit.submissions USING btree (sequence) WHERE (closed_at IS NULL);
CREATE INDEX submissions_turned_down ON chiffon_audit.submissions USING btree (state) WHERE (state = ANY (ARRAY['conflicting'::text, 'refused'::text]));
CREATE INDEX submissions_turned_down_by_time ON chiffon_audit.submissions USING btree (closed_at) WHERE (state = ANY (ARRAY['conflicting'::text, 'refused'::text]));
CREATE TRIGGER are_kept BEFORE DELETE ON chiffon_audit.entries FOR EACH ROW EXECUTE FUNCTION chiffon_audit.refuse_unless_repairing('a recorded entry cannot be deleted');
CREATE TRIGGER are_kept BEFORE DELETE ON chiffon_audit.submissions FOR EACH ROW WHEN ((old.state <> ALL (ARRAY['conflicting'::text, 'refused'::text]))) EXECUTE FUNCTION chiffon_audit.refuse('a submission cannot be deleted');
CREATE TRIGGER are_not_truncated BEFORE TRUNCATE ON chiffon_audit.entries FOR EACH STATEMENT EXECUTE FUNCTION chiffon_audit.refuse('a recorded entry cannot be deleted');
CREATE TRIGGER are_not_truncated BEFORE TRUNCATE ON chiffon_audit.submissions FOR EACH STATEMENT EXECUTE FUNCTION chiffon_audit.refuse('a submission cannot be deleted');
CREATE TRIGGER are_not_truncated BEFORE TRUNCATE ON chiffon_audit.tasks FOR EACH STATEMENT EXECUTE FUNCTION chiffon_audit.refuse('a finished task cannot be deleted');
CREATE TRIGGER begin_open BEFORE INSERT ON chiffon_audit.submissions FOR EACH ROW WHEN ((new.closed_at IS NOT NULL)) EXECUTE FUNCTION chiffon_audit.refuse('a submission begins open');
CREATE TRIGGER closed_stay BEFORE UPDATE ON chiffon_audit.submissions FOR EACH ROW WHEN ((old.closed_at IS NOT NULL)) EXECUTE FUNCTION chiffon_audit.refuse('a closed submission cannot be changed');
CREATE TRIGGER finished_are_kept BEFORE DELETE ON chiffon_audit.tasks FOR EACH ROW WHEN ((old.finished_at IS NOT NULL)) EXECUTE FUNCTION chiffon_audit.refuse_unless_retiring('a finished task cannot be deleted');
CREATE TRIGGER finished_stay BEFORE UPDATE ON chiffon_audit.tasks FOR EACH ROW WHEN ((old.finished_at IS NOT NULL)) EXECUTE FUNCTION chiffon_audit.refuse_unless_retiring('a finished task cannot be changed');
CREATE TRIGGER stay BEFORE UPDATE ON chiffon_audit.entries FOR EACH ROW EXECUTE FUNCTION chiffon_audit.refuse_unless_repairing('a recorded entry cannot be changed');
CREATE TRIGGER turned_down_are_kept BEFORE DELETE ON chiffon_audit.submissions FOR EACH ROW WHEN ((old.state = ANY (ARRAY['conflicting'::text, 'refused'::text]))) EXECUTE FUNCTION chiffon_audit.refuse_unless_retiring('a submission cannot be deleted');

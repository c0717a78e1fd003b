BEGIN TRANSACTION;
CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            plan_id TEXT,
            intent TEXT,
            agent_pool TEXT,
            agent_id TEXT,
            services TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            commit_id TEXT NOT NULL,
            path TEXT NOT NULL,
            text TEXT NOT NULL
        ) STRICT;
INSERT INTO "entries" VALUES(1,'nameless-1','failed',NULL,NULL,NULL,NULL,'[""]',1796002688765093,'5b08409046b882a9717e9859b74ea7287f05d3ee','.audit/tasks/9/5/2/6/nameless-1.json','{
  "task_id": "nameless-1",
  "status": "failed",
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
      ""
    ],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T01:38:08.765093Z"
}
');
INSERT INTO "entries" VALUES(2,'nameless-2','failed',NULL,NULL,NULL,NULL,'[""]',1796002688777608,'913740c9e34e7ae1215a660ee4b4d2895ac7f896','.audit/tasks/b/7/c/6/nameless-2.json','{
  "task_id": "nameless-2",
  "status": "failed",
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
      ""
    ],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T01:38:08.777608Z"
}
');
INSERT INTO "entries" VALUES(3,'nameless-3','failed',NULL,NULL,NULL,NULL,'[""]',1796002688787922,'3d995b124507e4c9205393ee33a4ff1e00c30066','.audit/tasks/9/d/b/e/nameless-3.json','{
  "task_id": "nameless-3",
  "status": "failed",
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
      ""
    ],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T01:38:08.787922Z"
}
');
INSERT INTO "entries" VALUES(4,'plain','completed',NULL,'roll out',NULL,NULL,'["web"]',1796002688796325,'0a7367089aa3d1fc02b7047be7d38fcfe726f17a','.audit/tasks/a/1/1/6/plain.json','{
  "task_id": "plain",
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
      "web"
    ],
    "start_time": null,
    "end_time": null
  },
  "metadata": {
    "intent": "roll out"
  },
  "timestamp": "2026-11-30T01:38:08.796325Z"
}
');
CREATE TABLE entry_counts (
            service TEXT NOT NULL,
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (service, unit, bucket, status)
        ) STRICT, WITHOUT ROWID;
INSERT INTO "entry_counts" VALUES('',0,20787,'completed',1);
INSERT INTO "entry_counts" VALUES('',0,20787,'failed',6);
INSERT INTO "entry_counts" VALUES('',1,29933378,'completed',1);
INSERT INTO "entry_counts" VALUES('',1,29933378,'failed',6);
INSERT INTO "entry_counts" VALUES('web',0,20787,'completed',1);
INSERT INTO "entry_counts" VALUES('web',1,29933378,'completed',1);
CREATE TABLE entry_services (
            service TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            intent TEXT,
            entry INTEGER NOT NULL,
            PRIMARY KEY (service, recorded_at, task_id)
        ) STRICT, WITHOUT ROWID;
INSERT INTO "entry_services" VALUES('',1796002688765093,'nameless-1','failed',NULL,1);
INSERT INTO "entry_services" VALUES('',1796002688777608,'nameless-2','failed',NULL,2);
INSERT INTO "entry_services" VALUES('',1796002688787922,'nameless-3','failed',NULL,3);
INSERT INTO "entry_services" VALUES('web',1796002688796325,'plain','completed','roll out',4);
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    repairing INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    rebuilding INTEGER,
    rebuilding_since INTEGER,
    lease_owner TEXT,
    lease_fence INTEGER NOT NULL DEFAULT 0,
    lease_renewed_at INTEGER NOT NULL DEFAULT 0,
    lease_term INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "meta" VALUES(1,0,0,NULL,NULL,NULL,1,1796002688681000,0);
CREATE TABLE plans (
    task_id TEXT PRIMARY KEY,
    plan_id TEXT,
    plan_steps TEXT,
    agent_pool TEXT,
    agent_id TEXT,
    dispatch_timestamp TEXT,
    start_time TEXT,
    services_touched TEXT,
    metadata TEXT,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE submissions (
    sequence INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    status TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('outcome', 'work-result')),
    text TEXT,
    document TEXT,
    fingerprint BLOB,
    keyed INTEGER NOT NULL,
    trace_id TEXT,
    accepted_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state = 'pending' OR state = 'blocked' OR state = 'committed' OR state = 'conflicting' OR state = 'refused'),
    cause TEXT,
    violations TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempted_at INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL,
    closed_at INTEGER,
    commit_id TEXT,
    path TEXT,
    CHECK ((closed_at IS NULL) = (state IN ('pending', 'blocked'))),
    CHECK ((state = 'committed') = (commit_id IS NOT NULL AND path IS NOT NULL)),
    CHECK (text IS NOT NULL OR state = 'committed')
) STRICT;
INSERT INTO "submissions" VALUES(1,'nameless-1','failed','outcome',NULL,NULL,NULL,0,NULL,1796002688764000,'committed',NULL,NULL,1,1796002688766000,1796002688764000,1796002688766000,'5b08409046b882a9717e9859b74ea7287f05d3ee','.audit/tasks/9/5/2/6/nameless-1.json');
INSERT INTO "submissions" VALUES(2,'nameless-2','failed','outcome',NULL,NULL,NULL,0,NULL,1796002688777000,'committed',NULL,NULL,1,1796002688778000,1796002688777000,1796002688778000,'913740c9e34e7ae1215a660ee4b4d2895ac7f896','.audit/tasks/b/7/c/6/nameless-2.json');
INSERT INTO "submissions" VALUES(3,'nameless-3','failed','outcome',NULL,NULL,NULL,0,NULL,1796002688787000,'committed',NULL,NULL,1,1796002688788000,1796002688787000,1796002688788000,'3d995b124507e4c9205393ee33a4ff1e00c30066','.audit/tasks/9/d/b/e/nameless-3.json');
INSERT INTO "submissions" VALUES(4,'plain','completed','outcome',NULL,NULL,NULL,0,NULL,1796002688796000,'committed',NULL,NULL,1,1796002688797000,1796002688796000,1796002688797000,'0a7367089aa3d1fc02b7047be7d38fcfe726f17a','.audit/tasks/a/1/1/6/plain.json');
INSERT INTO "submissions" VALUES(5,'plain','failed','outcome','{"task_id":"plain","status":"failed"}',NULL,X'74862C28232DE9F8B5EF4808102946FDCD77BECA9D61077690952DF5136AA137',0,NULL,1796002688804000,'conflicting','policy: the task has an entry that differs in /execution_result/services_touched/0, /metadata and /status; a task that is tried again is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)',NULL,1,1796002688805000,1796002688804000,1796002688805000,NULL,NULL);
INSERT INTO "submissions" VALUES(6,'waiting','completed','outcome','{"task_id":"waiting","status":"completed"}',NULL,X'679EA624D66537E2169ABB44F6AFD73554C15503C4E253F04EA926F09D0B6B9C',0,NULL,1796002700000000,'pending',NULL,NULL,0,0,1796002700000000,NULL,NULL,NULL);
INSERT INTO "submissions" VALUES(7,'blocked','completed','outcome','{"task_id":"blocked","status":"completed"}',NULL,X'0000000000000000000000000000000000000000000000000000000000000000',0,NULL,1796002700000000,'blocked','policy-fuel: too long',NULL,3,1796002700000000,9223372036854775807,NULL,NULL,NULL);
CREATE UNIQUE INDEX submissions_by_task ON submissions (task_id, fingerprint);
CREATE INDEX submissions_open ON submissions (sequence, state, next_attempt, attempted_at, task_id)
    WHERE closed_at IS NULL;
CREATE INDEX submissions_turned_down ON submissions (state) WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER submissions_closed_stay BEFORE UPDATE ON submissions WHEN OLD.closed_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a closed submission cannot be changed'); END;
CREATE TRIGGER submissions_are_kept BEFORE DELETE ON submissions
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be deleted'); END;
CREATE TRIGGER submissions_are_not_replaced BEFORE INSERT ON submissions
    WHEN NEW.closed_at IS NOT NULL
        OR EXISTS (SELECT 1 FROM submissions WHERE sequence = NEW.sequence)
        OR EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND fingerprint = NEW.fingerprint)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be replaced, and begins open'); END;
CREATE TRIGGER plans_of_finished_stay BEFORE UPDATE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id IN (OLD.task_id, NEW.task_id))
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER plans_of_finished_are_kept BEFORE DELETE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = OLD.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER plans_of_finished_are_not_replaced BEFORE INSERT ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE TRIGGER submissions_say_what_they_said BEFORE UPDATE ON submissions
    WHEN OLD.closed_at IS NULL AND (
        OLD.sequence IS NOT NEW.sequence OR OLD.task_id IS NOT NEW.task_id OR OLD.status IS NOT NEW.status
        OR OLD.kind IS NOT NEW.kind OR OLD.trace_id IS NOT NEW.trace_id OR OLD.accepted_at IS NOT NEW.accepted_at
        OR OLD.keyed IS NOT NEW.keyed
        OR (NEW.text IS NOT OLD.text AND (NEW.text IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.document IS NOT OLD.document AND (NEW.document IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.fingerprint IS NOT OLD.fingerprint AND (NEW.fingerprint IS NOT NULL OR NEW.closed_at IS NULL)))
    BEGIN SELECT RAISE(ROLLBACK, 'what was submitted cannot be changed'); END;
CREATE TRIGGER submissions_come_last AFTER INSERT ON submissions
    WHEN NEW.sequence < (SELECT max(sequence) FROM submissions)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be put before others'); END;
CREATE VIEW tasks AS
    SELECT p.task_id, p.plan_id, p.plan_steps, p.agent_pool, p.agent_id, p.dispatch_timestamp, p.start_time,
        p.services_touched, p.metadata, p.created_at, p.revision, s.status AS finished_status, s.accepted_at AS finished_at
    FROM plans p LEFT JOIN submissions s
        ON s.sequence = (SELECT min(f.sequence) FROM submissions f WHERE f.task_id = p.task_id)
    UNION ALL
    SELECT s.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.accepted_at, 0, s.status, s.accepted_at
    FROM submissions s
    WHERE s.sequence = (SELECT min(f.sequence) FROM submissions f WHERE f.task_id = s.task_id)
        AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.task_id = s.task_id);
CREATE TRIGGER tasks_finished_stay INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER tasks_are_changed_in_plans INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is changed in plans'); END;
CREATE TRIGGER tasks_finished_are_kept INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER tasks_are_deleted_in_plans INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is deleted in plans'); END;
CREATE TRIGGER tasks_finished_are_not_replaced INSTEAD OF INSERT ON tasks
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE TRIGGER tasks_are_added_in_plans INSTEAD OF INSERT ON tasks
    WHEN NOT EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a task is added in plans'); END;
CREATE UNIQUE INDEX entries_by_task_0 ON entries (task_id);
CREATE INDEX entries_by_time_0 ON entries (recorded_at, task_id);
CREATE INDEX entries_by_status_0 ON entries (status, recorded_at, task_id);
CREATE INDEX entries_by_intent_0 ON entries (intent, recorded_at, task_id, status)
            WHERE intent IS NOT NULL;
CREATE INDEX entry_services_by_status_0
            ON entry_services (service, status, recorded_at, task_id, entry);
CREATE TRIGGER entries_stay_0 BEFORE UPDATE ON entries
            WHEN NOT (SELECT repairing FROM meta)
            BEGIN SELECT RAISE(ABORT, 'a recorded entry cannot be changed'); END;
CREATE TRIGGER entries_are_kept_0 BEFORE DELETE ON entries
            WHEN NOT (SELECT repairing FROM meta)
            BEGIN SELECT RAISE(ABORT, 'a recorded entry cannot be deleted'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('entries',4);
COMMIT;
PRAGMA application_id = 1130905973;
PRAGMA user_version = 2;

PRAGMA application_id = 1130905973;
PRAGMA user_version = 5;
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
            text TEXT NOT NULL,
            reporter TEXT,
            position INTEGER
        ) STRICT;
INSERT INTO "entries" VALUES(1,'deploy-1','completed','release-7','release-7',NULL,NULL,'[]',1796062018801849,'5a5eadae59e636ec8def210ee9e497aa8e016109','.audit/tasks/2/4/4/c/deploy-1.json','{
  "task_id": "deploy-1",
  "status": "completed",
  "plan_id": "release-7",
  "plan_steps": [],
  "dispatch_info": {
    "agent_pool": null,
    "agent_id": null,
    "dispatch_timestamp": null
  },
  "execution_result": {
    "outcome": {
      "exit_code": 0,
      "replicas": 3
    },
    "resources_used": {},
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T18:06:58.801849Z"
}
',NULL,NULL);
INSERT INTO "entries" VALUES(2,'deploy-2','failed',NULL,NULL,NULL,NULL,'[]',1796062018803874,'95b6c38341a16cb52973fcc608dee3b2f8dbd3cc','.audit/tasks/7/9/8/7/deploy-2.json','{
  "task_id": "deploy-2",
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
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "metadata": {
    "approver": "mara"
  },
  "timestamp": "2026-11-30T18:06:58.803874Z"
}
',NULL,NULL);
INSERT INTO "entries" VALUES(3,'deploy-3','completed',NULL,NULL,NULL,NULL,'[]',1796062020160176,'7f55465a076792cdf33afb029b1f3ade07c2940a','.audit/tasks/7/0/4/7/deploy-3.json','{
  "task_id": "deploy-3",
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
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "metadata": {
    "password": "[redacted]"
  },
  "timestamp": "2026-11-30T18:07:00.160176Z"
}
',NULL,NULL);
INSERT INTO "entries" VALUES(4,'deploy-4','completed',NULL,NULL,NULL,NULL,'[]',1796062021203496,'8cceb33809a7a813f98184b95eb9a7301ffcf918','.audit/tasks/6/2/b/c/deploy-4.json','{
  "task_id": "deploy-4",
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
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-30T18:07:01.203496Z"
}
',NULL,NULL);
CREATE TABLE entry_services (
            service TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            intent TEXT,
            entry INTEGER NOT NULL,
            PRIMARY KEY (service, recorded_at, task_id)
        ) STRICT, WITHOUT ROWID;
CREATE TABLE entry_totals (
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (unit, bucket, status)
        ) STRICT, WITHOUT ROWID;
INSERT INTO "entry_totals" VALUES(0,20787,'completed',3);
INSERT INTO "entry_totals" VALUES(0,20787,'failed',1);
INSERT INTO "entry_totals" VALUES(1,29934366,'completed',1);
INSERT INTO "entry_totals" VALUES(1,29934366,'failed',1);
INSERT INTO "entry_totals" VALUES(1,29934367,'completed',2);
CREATE TABLE fingerprint_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO "fingerprint_key" VALUES(1,X'A104C3C8B74A1304FD27C0A32BAA0535A91475362E941CBCC157E5BB31446720');
CREATE TABLE late_plans (
    task_id TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    arrived_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
, trail_uuid TEXT, trail_first TEXT, trail_last TEXT, trail_last_at INTEGER, trail_epoch INTEGER NOT NULL DEFAULT 0, former_last INTEGER, retiring INTEGER NOT NULL DEFAULT 0, event_position INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "meta" VALUES(1,0,0,NULL,NULL,NULL,1,1796062026241000,0,'a83019f5-cd1a-41d5-a1bf-d6080db70be3','aac213f3e3cab670f1a061228cd8de3862a83f6e','8cceb33809a7a813f98184b95eb9a7301ffcf918',1796062021203496,1,NULL,0,0);
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
CREATE TABLE service_totals (
            service TEXT NOT NULL,
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (service, unit, bucket, status)
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
    attempted_at INTEGER,
    next_attempt INTEGER,
    closed_at INTEGER,
    commit_id TEXT,
    path TEXT, reporter TEXT, reason TEXT, refused_on_arrival INTEGER
    CHECK (refused_on_arrival IS NULL OR (refused_on_arrival = 1 AND state = 'refused')),
    CHECK ((closed_at IS NULL) = (state IN ('pending', 'blocked'))),
    CHECK ((state = 'committed') = (commit_id IS NOT NULL AND path IS NOT NULL)),
    CHECK (text IS NOT NULL OR state = 'committed')
) STRICT;
INSERT INTO "submissions" VALUES(1,'deploy-4','completed','outcome',NULL,NULL,X'3575BD4D9DF85408C522A22DC230AF5817209B8CCE9E6AD21C90817958DCF01C',1,NULL,1796062021202000,'committed',NULL,NULL,1,1796062021215000,1796062021202000,1796062021215000,'8cceb33809a7a813f98184b95eb9a7301ffcf918','.audit/tasks/6/2/b/c/deploy-4.json',NULL,NULL,NULL);
INSERT INTO "submissions" VALUES(2,'deploy-4','failed','outcome','{"task_id": "deploy-4", "status": "failed"}',NULL,X'5B089F6D14248A56F1EA0784343B3ED3E2E7678170143E1ABA7B569ACA0A01DC',1,NULL,1796062021228000,'conflicting','differs',NULL,1,1796062021231000,1796062021228000,1796062021231000,NULL,NULL,NULL,'policy: the task has an entry that differs in /status; a task that is tried again is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)',NULL);
INSERT INTO "submissions" VALUES(3,'deploy-5','frobnicated','outcome','{"task_id": "deploy-5", "status": "frobnicated"}',NULL,NULL,0,NULL,1796062021243000,'refused','document','[{"pointer":"/status","message":"is not a known status (completed, failed, rejected, cancelled); the setting status_map maps other words"}]',0,NULL,NULL,1796062021243000,NULL,NULL,NULL,NULL,1);
CREATE UNIQUE INDEX submissions_by_task ON submissions (task_id, fingerprint);
CREATE INDEX submissions_open ON submissions (sequence, state, next_attempt, attempted_at, task_id)
    WHERE closed_at IS NULL;
CREATE INDEX submissions_turned_down ON submissions (state) WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER submissions_come_last AFTER INSERT ON submissions
    WHEN NEW.sequence < (SELECT max(sequence) FROM submissions)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be put before others'); END;
CREATE TRIGGER submissions_say_what_they_said BEFORE UPDATE ON submissions
    WHEN OLD.closed_at IS NULL AND (
        OLD.sequence IS NOT NEW.sequence OR OLD.task_id IS NOT NEW.task_id OR OLD.status IS NOT NEW.status
        OR OLD.kind IS NOT NEW.kind OR OLD.trace_id IS NOT NEW.trace_id OR OLD.accepted_at IS NOT NEW.accepted_at
        OR OLD.keyed IS NOT NEW.keyed OR OLD.reporter IS NOT NEW.reporter
        OR (NEW.text IS NOT OLD.text AND (NEW.text IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.document IS NOT OLD.document AND (NEW.document IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.fingerprint IS NOT OLD.fingerprint AND (NEW.fingerprint IS NOT NULL OR NEW.closed_at IS NULL)))
    BEGIN SELECT RAISE(ROLLBACK, 'what was submitted cannot be changed'); END;
CREATE TRIGGER submissions_are_kept BEFORE DELETE ON submissions
    WHEN NOT ((SELECT retiring FROM meta) AND OLD.state IN ('conflicting', 'refused'))
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be deleted'); END;
CREATE INDEX submissions_turned_down_by_time ON submissions (closed_at) WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER submissions_closed_stay BEFORE UPDATE ON submissions WHEN OLD.closed_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a closed submission cannot be changed'); END;
CREATE INDEX plans_by_time ON plans (created_at, task_id);
CREATE TRIGGER submissions_are_not_replaced BEFORE INSERT ON submissions
    WHEN (NEW.closed_at IS NOT NULL AND NEW.refused_on_arrival IS NULL)
        OR EXISTS (SELECT 1 FROM submissions WHERE sequence = NEW.sequence)
        OR EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND fingerprint = NEW.fingerprint)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be replaced, and begins open'); END;
CREATE TRIGGER plans_of_finished_stay BEFORE UPDATE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id IN (OLD.task_id, NEW.task_id) AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER plans_of_finished_are_kept BEFORE DELETE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = OLD.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER plans_of_finished_are_not_replaced BEFORE INSERT ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE VIEW tasks AS
    SELECT p.task_id, p.plan_id, p.plan_steps, p.agent_pool, p.agent_id, p.dispatch_timestamp, p.start_time,
        p.services_touched, p.metadata, p.created_at, p.revision, s.status AS finished_status, s.accepted_at AS finished_at
    FROM plans p LEFT JOIN submissions s ON s.sequence = (SELECT min(f.sequence) FROM submissions f
        WHERE f.task_id = p.task_id AND f.refused_on_arrival IS NULL)
    UNION ALL
    SELECT s.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.accepted_at, 0, s.status, s.accepted_at
    FROM submissions s
    WHERE s.sequence = (SELECT min(f.sequence) FROM submissions f
            WHERE f.task_id = s.task_id AND f.refused_on_arrival IS NULL)
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
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE TRIGGER tasks_are_added_in_plans INSTEAD OF INSERT ON tasks
    WHEN NOT EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a task is added in plans'); END;
CREATE UNIQUE INDEX entries_by_task_0 ON entries (task_id);
CREATE INDEX entries_by_time_0 ON entries (recorded_at, task_id);
CREATE INDEX entries_by_status_0 ON entries (status, recorded_at, task_id);
CREATE INDEX entries_by_intent_0 ON entries (intent, recorded_at, task_id, status)
            WHERE intent IS NOT NULL;
CREATE INDEX entries_by_reporter_0 ON entries (reporter, recorded_at, task_id)
            WHERE reporter IS NOT NULL;
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

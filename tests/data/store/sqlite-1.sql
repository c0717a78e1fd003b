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
INSERT INTO "entries" VALUES(1,'planned-and-done','failed','p','p',NULL,NULL,'[]',1795947314932831,'5b4decadc52f25cfaf195fa95b5527baa8e404f8','.audit/tasks/8/3/5/7/planned-and-done.json','{
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
      "error_message": "no room"
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
  "timestamp": "2026-11-29T10:15:14.932831Z"
}
');
INSERT INTO "entries" VALUES(2,'reported','completed',NULL,NULL,NULL,NULL,'[]',1795947314976710,'02f4c605d46d0cc5731ceecddb95663453354e02','.audit/tasks/8/e/7/5/reported.json','{
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
    "services_touched": [],
    "start_time": null,
    "end_time": null
  },
  "timestamp": "2026-11-29T10:15:14.976710Z"
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
INSERT INTO "entry_counts" VALUES('',0,20786,'completed',1);
INSERT INTO "entry_counts" VALUES('',0,20786,'failed',1);
INSERT INTO "entry_counts" VALUES('',1,29932455,'completed',1);
INSERT INTO "entry_counts" VALUES('',1,29932455,'failed',1);
CREATE TABLE entry_services (
            service TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            intent TEXT,
            entry INTEGER NOT NULL,
            PRIMARY KEY (service, recorded_at, task_id)
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
) STRICT;
INSERT INTO "meta" VALUES(1,0,0,NULL,NULL,'vm:26118:6c578000',1,1795947315801000,3000000);
CREATE TABLE submissions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
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
        CHECK (state IN ('pending', 'blocked', 'committed', 'conflicting', 'refused')),
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
INSERT INTO "submissions" VALUES(1,'planned-and-done','failed','work-result',NULL,NULL,NULL,0,NULL,1795947314931000,'committed',NULL,NULL,1,1795947314968000,1795947314931000,1795947314968000,'5b4decadc52f25cfaf195fa95b5527baa8e404f8','.audit/tasks/8/3/5/7/planned-and-done.json');
INSERT INTO "submissions" VALUES(2,'reported','completed','outcome',NULL,NULL,NULL,0,NULL,1795947314976000,'committed',NULL,NULL,1,1795947315005000,1795947314976000,1795947315005000,'02f4c605d46d0cc5731ceecddb95663453354e02','.audit/tasks/8/e/7/5/reported.json');
INSERT INTO "submissions" VALUES(3,'reported','failed','outcome','{"task_id":"reported","status":"failed"}',NULL,X'51B760C85DA168DAD29DF0FB677AFDCF7897F21920F45B13049C591A6F76E220',0,NULL,1795947315013000,'conflicting','policy: the task has an entry that differs in /status; a task that is tried again is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)',NULL,1,1795947315021000,1795947315013000,1795947315021000,NULL,NULL);
INSERT INTO "submissions" VALUES(4,'waiting','cancelled','outcome','{"task_id":"waiting","status":"cancelled","metadata":{"a":1.0}}',NULL,X'5DD98D0E57FC30FFFFBF074859056C9D98AD2D3E7E81C84138E67F10E28F2712',0,NULL,1795947315336000,'pending','rolled-back: blocked: rolled back: refs/heads/main is gone, and with it 02f4c605d46d0cc5731ceecddb95663453354e02, the last commit that was acknowledged here; `git update-ref refs/heads/main 02f4c605d46d0cc5731ceecddb95663453354e02` restores it, `chiffon-audit init --accept-tip none` accepts this by name',NULL,3,1795947315586000,1795947315586000,NULL,NULL,NULL);
INSERT INTO "submissions" VALUES(5,'waiting','completed','outcome','{"task_id":"waiting","status":"completed"}',NULL,X'679EA624D66537E2169ABB44F6AFD73554C15503C4E253F04EA926F09D0B6B9C',0,NULL,1795947315345000,'pending',NULL,NULL,0,0,1795947315345000,NULL,NULL,NULL);
CREATE TABLE tasks (
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
    revision INTEGER NOT NULL DEFAULT 0,
    finished_status TEXT,
    finished_at INTEGER,
    CHECK ((finished_status IS NULL) = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "tasks" VALUES('planned','p','["one","two"]','pool',NULL,NULL,NULL,NULL,'{"intent":"roll out"}',1795947314903000,2,NULL,NULL);
INSERT INTO "tasks" VALUES('planned-and-done','p',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795947314925000,1,'failed',1795947314931000);
INSERT INTO "tasks" VALUES('reported',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795947314976000,0,'completed',1795947314976000);
INSERT INTO "tasks" VALUES('waiting',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795947315336000,0,'cancelled',1795947315336000);
CREATE TRIGGER tasks_finished_stay BEFORE UPDATE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER tasks_finished_are_kept BEFORE DELETE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER tasks_finished_are_not_replaced BEFORE INSERT ON tasks
    WHEN EXISTS (SELECT 1 FROM tasks WHERE task_id = NEW.task_id AND finished_at IS NOT NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
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
INSERT INTO "sqlite_sequence" VALUES('submissions',5);
INSERT INTO "sqlite_sequence" VALUES('entries',2);
COMMIT;
PRAGMA application_id = 1130905973;
PRAGMA user_version = 1;

//! The system's clock, set back under a running host by a shim between the program and libc.

use super::*;

const SHIM: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long moved(void) {
    char text[32] = {0};
    const char *path = getenv("MOVED_BY");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    long got = read(file, text, sizeof text - 1);
    close(file);
    return got > 0 ? atol(text) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += moved();
    return result;
}
int gettimeofday(struct timeval *time, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"#;

#[test]
fn a_clock_that_is_set_back_holds_up_commits_until_it_is_near_again_and_nothing_runs_backwards() {
    let dir = crate::support::temporary();
    let (source, shim) = (dir.path().join("shim.c"), dir.path().join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&shim, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    let by = dir.path().join("by");
    // In one step, like a clock that is set.
    let set = |seconds: i64| {
        let new = dir.path().join("new");
        std::fs::write(&new, seconds.to_string()).unwrap();
        std::fs::rename(&new, &by).unwrap();
    };
    set(0);
    let mut host = Host::new();
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
    let environment = [("LD_PRELOAD", shim.as_path()), ("MOVED_BY", by.as_path())];
    host.served = Served::start_in(host.dir.path(), &[], &environment);

    host.commit("a", "completed");
    let mut events = host.served.connect();
    events
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut events = BufReader::new(events);
    let mut line = String::new();
    events.read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");

    set(-3600);
    // Accepting continues, and so does the lease; the obstacle is reported.
    assert_eq!(
        host.post("/api/v1/outcomes", &outcome("b", "completed"))
            .status,
        202
    );
    let trail = host.until("/api/v1/trail", |trail| trail["degraded"] == true);
    assert_eq!(
        (&trail["trail"]["cause"], &trail["role"]),
        (&"clock".into(), &"committing".into()),
        "{trail}"
    );
    assert_eq!(host.get("/readyz").json()["causes"][0], "clock");
    assert_eq!(host.entries(), 1);
    // Within five minutes the trail tolerates it: it continues from its own last time.
    set(-120);
    host.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    host.until("/readyz", |ready| ready["status"] == "ready");
    host.commit("c", "failed");
    let times = host.git(&["log", "--reverse", "--format=%ct"]);
    let times: Vec<i64> = times.lines().map(|time| time.parse().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // A follower sees both, and a query from the last time finds both.
    for expected in ["b", "c"] {
        let data = loop {
            line.clear();
            assert!(
                events.read_line(&mut line).unwrap() > 0,
                "the stream has ended"
            );
            if let Some(data) = line.strip_prefix("data: ") {
                break serde_json::from_str::<Value>(data).unwrap();
            }
        };
        assert_eq!(data["task_id"], expected, "{data}");
    }
    let task = host.get("/api/v1/tasks/a").json();
    let since = task["recorded"]["entry"]["timestamp"].as_str().unwrap();
    let query = host
        .get(&format!("/api/v1/audit/query?since={since}"))
        .json();
    assert_eq!(query["total"], 3, "{query}");
    super::load::holds(host.dir.path(), &["verify"]);
}

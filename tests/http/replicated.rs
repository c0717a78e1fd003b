//! One trail on several hosts, each with its own repository, in the order of a real PostgreSQL.

mod campaign;
mod faults;
mod membership;

use super::faults::load;
use super::*;
use crate::store::server::Server;

/// The hosts of one replicated trail, with the server that orders it.
struct Cluster {
    hosts: Vec<Replica>,
    server: Server,
    url: String,
}

/// A host: its directory, and its process unless it is down. Fields are dropped in this order.
struct Replica {
    served: Option<Served>,
    dir: TempDir,
}

impl Replica {
    fn served(&self) -> &Served {
        self.served.as_ref().expect("the host runs")
    }

    fn trail(&self) -> PathBuf {
        self.dir.path().join("audit.git")
    }

    fn tip(&self) -> String {
        let reference = ["rev-parse", "refs/heads/main"];
        support::git(&self.trail(), &reference).trim().to_owned()
    }

    fn kill(&mut self) {
        let mut served = self.served.take().expect("the host runs");
        served.child.kill().unwrap();
        served.child.wait().unwrap();
    }
}

impl Cluster {
    /// Starts this many hosts; `None` if PostgreSQL is not installed. The first begins the log, the others are clones of it.
    fn start(hosts: usize) -> Option<Cluster> {
        Cluster::start_with(hosts, &[])
    }

    fn start_with(hosts: usize, args: &[&str]) -> Option<Cluster> {
        let server = Server::start()?;
        let url = crate::store::run(server.database()).to_string();
        let mut cluster = Cluster {
            hosts: Vec::new(),
            server,
            url,
        };
        let dir = directory();
        let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
        assert!(init.unwrap().status.success());
        cluster.hosts.push(Replica { served: None, dir });
        cluster.run_with(0, args);
        for number in 1..hosts {
            cluster.add_clone();
            cluster.run_with(number, args);
        }
        Some(cluster)
    }

    /// Makes another repository of the log.
    fn add_clone(&mut self) {
        let dir = directory();
        let clone = ["replica", "clone", &self.url, "audit.git"];
        let made = program(dir.path(), &clone).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        self.hosts.push(Replica { served: None, dir });
    }

    /// Starts a host that is down.
    fn run(&mut self, number: usize) {
        self.run_with(number, &[]);
    }

    fn run_with(&mut self, number: usize, args: &[&str]) {
        let args = [&["--replicated", "--store", &self.url], args].concat();
        let served = Served::start(self.hosts[number].dir.path(), &args);
        self.hosts[number].served = Some(served);
    }

    fn addresses(&self) -> Vec<&str> {
        let running = self.hosts.iter().filter_map(|host| host.served.as_ref());
        running.map(|served| served.address.as_str()).collect()
    }

    /// The number of the host that commits.
    fn committer(&self) -> usize {
        for _ in 0..2_000 {
            for (number, host) in self.hosts.iter().enumerate() {
                let Some(served) = &host.served else { continue };
                let status = served.send("GET", "/api/v1/trail", &[], b"").json();
                if status["role"] == "committing" {
                    return number;
                }
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("nobody commits");
    }

    /// Waits until every running host is at the same commit, with everything that waits recorded.
    #[track_caller]
    fn until_equal(&self) {
        let mut tips = Vec::new();
        for _ in 0..3_000 {
            let running: Vec<&Replica> = self
                .hosts
                .iter()
                .filter(|host| host.served.is_some())
                .collect();
            let backlog = running[0]
                .served()
                .send("GET", "/api/v1/trail", &[], b"")
                .json();
            tips = running.iter().map(|host| host.tip()).collect();
            let is_equal = tips.windows(2).all(|pair| pair[0] == pair[1]);
            if is_equal && backlog["backlog"]["pending"] == 0 && backlog["backlog"]["blocked"] == 0
            {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("the hosts stay at {tips:?}");
    }

    /// The final check: every host has every accepted outcome once, all have the same commits, and git and `verify` agree.
    fn check(mut self, answers: &load::Answers) {
        self.until_equal();
        let store = ["--store", &*self.url];
        let running: Vec<usize> = (0..self.hosts.len())
            .filter(|number| self.hosts[*number].served.is_some())
            .collect();
        let tip = self.hosts[running[0]].tip();
        for number in running.iter().rev() {
            let host = &mut self.hosts[*number];
            assert_eq!(host.tip(), tip);
            let mut served = [host.served.take().expect("it runs")];
            // The last one reports what is unsure, so the others are checked for what is certain.
            match *number == running[0] {
                true => {
                    load::everything_is_there_once(host.dir.path(), &mut served, answers, &store)
                }
                false => {
                    load::end(&mut served[0]);
                    load::nothing_is_lost_or_doubled(&host.trail(), answers);
                    support::git(&host.trail(), &["fsck", "--strict", "--no-dangling"]);
                    load::holds(host.dir.path(), &["verify"]);
                }
            }
        }
    }

    fn sql(&self, statements: &str) {
        let url = self.url.clone();
        let statements = format!("SET search_path = chiffon_audit; {statements}");
        crate::store::run(async move {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client.batch_execute(&statements).await.unwrap();
        });
    }
}

/// A directory of a host, with a short lease.
fn directory() -> TempDir {
    let dir = crate::support::temporary();
    let home = dir.path().join("home/.config/chiffon-audit");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("config.toml"), load::SETTINGS).unwrap();
    dir
}

#[test]
fn every_host_has_every_entry_with_the_same_commit_id() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let load = load::Load::start("r", 6, &cluster.addresses());
    load.until_accepted(200);
    let answers = load.stop();
    let status = cluster.hosts[2]
        .served()
        .send("GET", "/api/v1/trail", &[], b"")
        .json();
    let replicas = status["replicas"]["hosts"].as_array().unwrap();
    assert_eq!(replicas.len(), 3, "{status}");
    cluster.check(&answers);
}

#[test]
fn a_host_that_is_lost_with_its_disk_loses_nothing_that_was_committed() {
    let Some(mut cluster) = Cluster::start(2) else {
        return;
    };
    let load = load::Load::start("r", 4, &cluster.addresses());
    load.until_accepted(100);
    let lost = cluster.committer();
    cluster.hosts[lost].kill();
    std::fs::remove_dir_all(cluster.hosts[lost].trail()).unwrap();
    load.until_accepted(100);
    let answers = load.stop();
    cluster.hosts.remove(lost);
    // A new host takes its place.
    cluster.add_clone();
    cluster.run(1);
    cluster.check(&answers);
}

#[test]
fn committed_waits_for_as_many_copies_as_the_settings_ask_for() {
    let Some(mut cluster) = Cluster::start_with(2, &["--copies", "2"]) else {
        return;
    };
    let body = outcome("a", "completed");
    let committer = cluster.committer();
    let answer = cluster.hosts[committer]
        .served()
        .post("/api/v1/outcomes?wait=committed", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let other = 1 - committer;
    assert_eq!(cluster.hosts[other].tip(), cluster.hosts[committer].tip());
    cluster.hosts[other].kill();
    // Ten seconds after its last word the other host no longer counts; its copy of this entry is missing from the start.
    let prefer = ["Content-Type: application/json", "Prefer: wait=1"];
    let body = outcome("b", "completed");
    let served = cluster.hosts[committer].served();
    let answer = served.send("POST", "/api/v1/outcomes", &prefer, body.as_bytes());
    assert_eq!(answer.status, 202, "{answer:?}");
    cluster.run_with(other, &["--copies", "2"]);
    cluster.hosts[committer]
        .served()
        .until("/api/v1/tasks/b", |task| task["state"] == "committed");
}

//! Locks: a `flock` among this program's processes, and git's own lock files, made so that they show their owner.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::disk::{self, Disk};
use crate::error::{IoContext, TrailError};
use crate::place::shared_repository;
use crate::place::state::StateDir;
use crate::write::holder::{self, handovers};
use crate::write::progress::{self, Progress, Publication};

/// The right to write the trail, among this program's processes. The system frees it when the process dies.
pub(crate) struct WriterLock {
    lock: File,
    waiting: File,
    waiting_path: PathBuf,
}

impl WriterLock {
    /// Takes the lock; waits for at most `wait`.
    pub(crate) fn acquire(state: &StateDir, wait: Duration) -> Result<WriterLock, TrailError> {
        let path = state.flock_path();
        let lock = open(&path)?;
        let waiting_path = state.waiting_path();
        let waiting = open(&waiting_path)?;
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        if !try_flock(&lock, exclusive, &path)? {
            // A shared lock on the second file tells the holder that a process waits.
            flock(&waiting, FlockOperation::LockShared)
                .map_err(io::Error::from)
                .doing("lock", &waiting_path)?;
            let mut seen = advance(&lock);
            let taken = poll(wait, || {
                if try_flock(&lock, exclusive, &path)? {
                    return Ok(Attempt::Taken);
                }
                // With many waiters, or on a slow disk, a turn may take long to come. While the lock changes hands or its
                // holder completes operations, no process is stuck.
                let now = advance(&lock);
                let advanced = std::mem::replace(&mut seen, now) != now;
                Ok(if advanced {
                    Attempt::Progress
                } else {
                    Attempt::Refused
                })
            });
            flock(&waiting, FlockOperation::Unlock)
                .map_err(io::Error::from)
                .doing("unlock", &waiting_path)?;
            if !taken? {
                return Err(TrailError::Locked {
                    path,
                    seconds: wait.as_secs(),
                });
            }
        }
        count_handover(&lock).doing("write", &path)?;
        Ok(WriterLock {
            lock,
            waiting,
            waiting_path,
        })
    }

    /// Publishes the writer's progress to waiting processes until the guard is dropped.
    pub(crate) fn publish<'a>(&self, progress: &'a Progress) -> Publication<'a> {
        progress.publish(&self.lock)
    }

    /// Whether another process waits for the lock.
    pub(crate) fn has_waiters(&self) -> bool {
        match try_flock(
            &self.waiting,
            FlockOperation::NonBlockingLockExclusive,
            &self.waiting_path,
        ) {
            Ok(true) => {
                let _ = flock(&self.waiting, FlockOperation::Unlock);
                false
            }
            Ok(false) => true,
            Err(_) => false,
        }
    }

    /// Releases the lock and, if others wait, gives them time to take it.
    pub(crate) fn release(self) {
        let others = self.has_waiters();
        drop(self);
        if others {
            // `flock` is not fair: without a pause the same process takes the lock again before a waiter polls.
            thread::sleep(MAX_POLL * 2);
        }
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that this process starts has a copy of the open file until its `exec`, which
        // on a busy machine takes longer than others wait.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// The offset of the last turn's number in the lock file, after the count of handovers.
const TURN_AT: u64 = 8;

impl WriterLock {
    /// The last [turn](crate::Fence) that has written; 0 if none has, or if it cannot be read.
    pub(crate) fn turn(&self) -> i64 {
        let mut bytes = [0; 8];
        self.lock
            .read_exact_at(&mut bytes, TURN_AT)
            .map_or(0, |()| i64::from_le_bytes(bytes))
    }

    /// Not durable: no host survives a power cut.
    pub(crate) fn set_turn(&self, number: i64) -> io::Result<()> {
        self.lock.write_all_at(&number.to_le_bytes(), TURN_AT)
    }
}

fn open(path: &Path) -> Result<File, TrailError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| explain_denied(error, path))
        .doing("open", path)
        .inspect(|_| shared_repository::follow_directory(path))
}

/// Names the remedy if another user began the trail, in a repository that is not shared.
fn explain_denied(error: io::Error, path: &Path) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let directory = path.parent().unwrap_or(path);
    let owner = fs::metadata(path).or_else(|_| fs::metadata(directory));
    let owner = owner.map_or_else(|_| "another user".into(), |it| format!("user {}", it.uid()));
    let text = format!(
        "{error}: it belongs to {owner}; record as that user, or let a group record: `git config core.sharedRepository group`, \
         and `chgrp -R` and `chmod -R g+rwX` for the git directory"
    );
    io::Error::new(error.kind(), text)
}

/// Tells waiting processes that the lock has a new holder, and which.
fn count_handover(lock: &File) -> io::Result<()> {
    let count = handovers(lock).wrapping_add(1);
    lock.write_all_at(&count.to_le_bytes(), 0)?;
    holder::note(lock, count);
    Ok(())
}

/// What changes while the lock is in use: the count of handovers and the holder's progress.
fn advance(lock: &File) -> (u64, u64) {
    (handovers(lock), progress::published(lock))
}

fn try_flock(file: &File, operation: FlockOperation, path: &Path) -> Result<bool, TrailError> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(io::Error::from(error)).doing("lock", path),
    }
}

const MIN_POLL: Duration = Duration::from_micros(50);
/// The longest pause between polls: it costs little, and is short beside a flush.
const MAX_POLL: Duration = Duration::from_millis(1);

/// How often the directory of a lock file is created again within one attempt.
const MAX_RECREATIONS: usize = 100;

/// The result of one attempt at a lock.
enum Attempt {
    Taken,
    Refused,
    /// Refused, but the lock has changed hands or its holder has advanced: the time limit starts again.
    Progress,
}

fn poll(
    wait: Duration,
    mut attempt: impl FnMut() -> Result<Attempt, TrailError>,
) -> Result<bool, TrailError> {
    let mut deadline = Instant::now() + wait;
    let mut pause = MIN_POLL;
    loop {
        match attempt()? {
            Attempt::Taken => return Ok(true),
            Attempt::Progress => deadline = Instant::now() + wait,
            Attempt::Refused if Instant::now() >= deadline => return Ok(false),
            Attempt::Refused => {}
        }
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_POLL);
    }
}

/// A lock file of git's protocol (`index.lock`, `<ref>.lock`), made as a link of the token.
///
/// Git's lock files do not name their owner. Those of this program share the token's inode. The holder of the
/// [`WriterLock`] can therefore tell one that a crash left behind from another program's, which it waits for.
pub(crate) struct GitLock<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    held: bool,
}

impl<'a> GitLock<'a> {
    /// Takes the lock beside `target`. The caller holds the [`WriterLock`].
    pub(crate) fn acquire(
        disk: &'a dyn Disk,
        state: &StateDir,
        target: &Path,
        wait: Duration,
    ) -> Result<GitLock<'a>, TrailError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let token = state.token_path();
        let parent = path.parent().unwrap_or(target);
        let refs = state.common_dir().join("refs");
        let taken = poll(wait, || {
            // If the directory was removed again, another program has packed refs. That is progress, and ends.
            for _ in 0..MAX_RECREATIONS {
                match disk.link(&token, &path) {
                    Ok(()) => return Ok(Attempt::Taken),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if !same_file(&token, &path) {
                            return Ok(Attempt::Refused);
                        }
                        disk.remove(&path).doing("remove", &path)?;
                    }
                    // `git pack-refs` removes the directories that it empties, but never `refs` itself. If `refs` were
                    // created here, it would block a person who restores the real one.
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound
                            && token.exists()
                            && parent.starts_with(&refs)
                            && refs.is_dir() =>
                    {
                        match disk::create_dirs_synced(disk, &refs, parent) {
                            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                            made => made.doing("create", parent)?,
                        }
                    }
                    Err(error) => return Err(error).doing("create", &path),
                }
            }
            Ok(Attempt::Refused)
        })?;
        if taken {
            Ok(GitLock {
                disk,
                path,
                held: true,
            })
        } else {
            Err(TrailError::Locked {
                path,
                seconds: wait.as_secs(),
            })
        }
    }

    /// Removes the lock file.
    pub(crate) fn release(mut self) -> Result<(), TrailError> {
        self.held = false;
        self.disk.remove(&self.path).doing("remove", &self.path)
    }
}

impl Drop for GitLock<'_> {
    fn drop(&mut self) {
        if self.held {
            // This is the path after a failure. The next holder of the writer lock removes a lock file that stays.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// Removes a lock file beside `target` that a crash of this program left behind.
pub(crate) fn remove_leftover(
    disk: &dyn Disk,
    state: &StateDir,
    target: &Path,
) -> Result<(), TrailError> {
    let mut name = target.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    if same_file(&state.token_path(), &path) {
        disk.remove(&path).doing("remove", &path)?;
    }
    Ok(())
}

/// Whether two names are links of one file.
pub(crate) fn same_file(left: &Path, right: &Path) -> bool {
    match (fs::symlink_metadata(left), fs::symlink_metadata(right)) {
        (Ok(left), Ok(right)) => left.dev() == right.dev() && left.ino() == right.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_lock_is_free_although_a_child_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::new(dir.path());
        state.create_root(&disk::RealDisk).expect("a directory");
        let lock = WriterLock::acquire(&state, Duration::ZERO).expect("it is free");
        // Like a process that was forked, and has not run another program yet.
        let copy = lock.lock.try_clone().expect("a copy");
        assert!(WriterLock::acquire(&state, Duration::ZERO).is_err());
        lock.release();
        let again = WriterLock::acquire(&state, Duration::ZERO);
        assert!(again.is_ok());
        drop(copy);
    }

    #[test]
    fn a_holder_that_completes_operations_is_waited_for_longer_than_one_that_does_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::new(dir.path());
        state.create_root(&disk::RealDisk).expect("a directory");
        let wait = Duration::from_millis(300);
        let progress = Progress::default();
        let lock = WriterLock::acquire(&state, Duration::ZERO).expect("it is free");
        thread::scope(|scope| {
            let publication = lock.publish(&progress);
            let waiter = scope.spawn(|| WriterLock::acquire(&state, wait).map(WriterLock::release));
            let until = Instant::now() + wait * 3;
            while Instant::now() < until {
                progress.advance();
                thread::sleep(MAX_POLL);
            }
            assert!(!waiter.is_finished());
            drop(publication);
            lock.release();
            waiter.join().expect("no panic").expect("its turn comes");
        });
        let lock = WriterLock::acquire(&state, Duration::ZERO).expect("it is free");
        assert!(WriterLock::acquire(&state, wait).is_err());
        lock.release();
    }
}

//! Answers many independent questions on all cores, in the order of the questions and in constant memory.

use std::thread;

/// How many questions to hold at once per core: enough that the cores seldom wait for each other, and few enough that
/// entries of the largest size fit in memory.
const BATCH: usize = 64;

/// Answers each question, and passes the answers on in order.
///
/// # Errors
///
/// The first error among the questions or from `take`; no further question is asked then.
pub(super) fn answer_each<Q: Send, A: Send, E>(
    questions: impl Iterator<Item = Result<Q, E>>,
    answer: impl Fn(Q) -> A + Sync,
    mut take: impl FnMut(A) -> Result<(), E>,
) -> Result<(), E> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut questions = questions.fuse();
    loop {
        let batch: Vec<Q> = questions
            .by_ref()
            .take(cores * BATCH)
            .collect::<Result<_, E>>()?;
        if batch.is_empty() {
            return Ok(());
        }
        for answer in answers(batch, cores, &answer) {
            take(answer)?;
        }
    }
}

fn answers<Q: Send, A: Send>(
    batch: Vec<Q>,
    cores: usize,
    answer: &(impl Fn(Q) -> A + Sync),
) -> Vec<A> {
    let share = batch.len().div_ceil(cores).max(1);
    let mut batch = batch.into_iter();
    thread::scope(|scope| {
        let mut workers = Vec::with_capacity(cores);
        loop {
            let part: Vec<Q> = batch.by_ref().take(share).collect();
            if part.is_empty() {
                break;
            }
            workers.push(scope.spawn(move || part.into_iter().map(answer).collect::<Vec<A>>()));
        }
        let mut answers = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(part) => answers.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        answers
    })
}

#[cfg(test)]
mod tests {
    use super::answer_each;

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let mut taken = Vec::new();
        let questions = (0..1000).map(Ok::<usize, ()>);
        let done = answer_each(
            questions,
            |number| number * 2,
            |answer| {
                taken.push(answer);
                Ok(())
            },
        );
        assert_eq!(done, Ok(()));
        assert_eq!(taken, (0..2000).step_by(2).collect::<Vec<_>>());
        let stopped = answer_each([Ok(1), Err("no")].into_iter(), |number| number, |_| Ok(()));
        assert_eq!(stopped, Err("no"));
    }
}

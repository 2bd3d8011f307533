// SPDX-License-Identifier: GPL-2.0

//! Work on many files at once.

use std::{
    num::NonZero,
    panic,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// As many jobs as there are processors for this process.
pub fn processors() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Does `work` on each item, `jobs` at a time, and hands each result with the item's number to
/// `done` on this thread, in the order in which they come.
///
/// `work` gets a buffer that is its thread's alone, to save getting a new one for each file. Once
/// `stop` is set no further item is begun.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    jobs: NonZero<usize>,
    stop: &AtomicBool,
    work: impl Fn(&mut Vec<u8>, &I) -> T + Sync,
    mut done: impl FnMut(usize, T),
) {
    let next = AtomicUsize::new(0);
    // Bounded, for results may hold files open.
    let (sender, receiver) = mpsc::sync_channel(2 * jobs.get());
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(items.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                let mut buffer = vec![];
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    if sender.send((at, work(&mut buffer, item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (at, result) in receiver {
            done(at, result);
        }
    });
}

/// Does `work` on each item, `jobs` at a time, and gives the results in the order of the items.
///
/// Nobody is woken for each result, as with [`each`]: for work that is over so soon that it counts.
pub fn map<I: Sync, T: Send>(
    items: &[I],
    jobs: NonZero<usize>,
    work: impl Fn(&mut Vec<u8>, &I) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let (mut buffer, mut done) = (vec![], vec![]);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            done.push((at, work(&mut buffer, item)));
        }
        done
    };
    let mut results: Vec<(usize, T)> = thread::scope(|scope| {
        let jobs = 0..jobs.get().min(items.len());
        let threads: Vec<_> = jobs.map(|_| scope.spawn(worker)).collect();
        let done = threads.into_iter().map(|thread| thread.join());
        done.flat_map(|done| done.unwrap_or_else(|reason| panic::resume_unwind(reason)))
            .collect()
    });
    results.sort_unstable_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0

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

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::memory;

/// As many jobs as there are processors for this process.
pub fn processors() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// How many files this process may have open for its work: the most that it may get.
pub fn descriptors() -> usize {
    /// For the standard streams, a list, libraries, a token's socket.
    const OTHERS: u64 = 32;
    let mut limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    let all = limit.current.unwrap_or(u64::MAX);
    usize::try_from(all.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}

/// Does `work` on each item, `jobs` at a time, and hands each result with the item's number to
/// `done` on this thread, in the order in which they come.
///
/// `work` gets a buffer that is its thread's alone, to save getting a new one for each file. Once
/// `stop` is set no further item is begun. If there cannot be so many threads, there are fewer.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    jobs: NonZero<usize>,
    stop: &AtomicBool,
    work: impl Fn(&mut Vec<u8>, &I) -> T + Sync,
    mut done: impl FnMut(usize, T),
) {
    let next = AtomicUsize::new(0);
    let (next, work) = (&next, &work);
    let take = move |buffer: &mut Vec<u8>| {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let at = next.fetch_add(1, Ordering::Relaxed);
        let result = work(buffer, items.get(at)?);
        memory::release(buffer);
        Some((at, result))
    };
    // Else the others would wait for what this thread has read before.
    memory::release(&mut vec![]);
    // Bounded, for results may hold files open.
    let (sender, receiver) = mpsc::sync_channel(2 * jobs.get());
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(items.len()) {
            let sender = sender.clone();
            let worker = move || {
                let mut buffer = vec![];
                while let Some(result) = take(&mut buffer) {
                    if sender.send(result).is_err() {
                        break;
                    }
                }
            };
            if thread::Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        drop(sender);
        for (at, result) in receiver {
            done(at, result);
        }
        // Nothing is left, unless there was no thread at all.
        let mut buffer = vec![];
        while let Some((at, result)) = take(&mut buffer) {
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
    map_on(items, jobs, || Some(thread::Builder::new()), work)
}

/// The same with threads that are made so. Once there is none to be had, there are no more.
pub fn map_on<I: Sync, T: Send>(
    items: &[I],
    jobs: NonZero<usize>,
    thread: impl Fn() -> Option<thread::Builder>,
    work: impl Fn(&mut Vec<u8>, &I) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    memory::release(&mut vec![]);
    let worker = || {
        let (mut buffer, mut done) = (vec![], vec![]);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            done.push((at, work(&mut buffer, item)));
            memory::release(&mut buffer);
        }
        done
    };
    let mut results: Vec<(usize, T)> = thread::scope(|scope| {
        let others = 1..jobs.get().min(items.len());
        let spawn = |_| thread()?.spawn_scoped(scope, worker).ok();
        let threads: Vec<_> = others.map_while(spawn).collect();
        let mut all = worker();
        for thread in threads {
            let done = thread.join();
            all.extend(done.unwrap_or_else(|reason| panic::resume_unwind(reason)));
        }
        all
    });
    results.sort_unstable_by_key(|&(at, _)| at);
    results.into_iter().map(|(_, result)| result).collect()
}

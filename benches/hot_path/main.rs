//! What a request with a live token costs, beside tower-http's constant header on the same service.
//!
//! `cargo bench --bench hot_path` measures each row with criterion and then, in interleaved rounds, prints the tables of
//! ratios. `cargo bench --bench hot_path -- ratios` prints the tables alone, `-- waiters` what a cold start costs each
//! request that waits for it, `-- handles` what one more handle costs, and `-- end-to-end` the whole way of a request.
//!
//! What a hit costs beyond the constant header, counted in instructions, which no load of the machine changes (one thread,
//! callgrind, the difference of two lengths of a loop of rounds alone, x86-64, everything of the round included): a live
//! token 1.09 of the constant header; around an inner service whose future carries its response, 1.12; one of 1,000 scopes
//! 1.30 of a live token, and one of 1,000 exchanged tokens 1.33. Callgrind sees a clock as a system call and so undercounts
//! it.
//!
//! In time, on two shared cores with other builds beside (load average 7 to 8), two runs of `-- ratios`: a live token 1.16
//! and 1.17 of the constant header, with a response carried 1.20 and 1.22; one of 1,000 scopes 1.26, one of 1,000 exchanged
//! tokens 1.27 of a live token. With two threads the ratio to the constant header is 0.88 and 0.54, with a response carried
//! 0.85 and 0.93: the constant's threads share the count of one reference, and what that costs depends on where the two
//! cores are. Where the subject token comes anew with each request, a hit takes 1.6 to 2.3 µs: it is made and its
//! 1,024 bytes are digested. One more of 300 handles took 0.01 ms and 1.8 KiB.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods)]

mod end_to_end;
#[cfg(feature = "transport")]
mod handles;
mod rows;
mod service;
mod waiters;

use std::time::Duration;

use criterion::Criterion;

use self::rows::Row;
use self::service::{SHAPES, median};

fn criterion(rows: &[Row]) {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, shape, threads) in SHAPES {
        let mut group = criterion.benchmark_group(name);
        for row in rows {
            group.bench_function(row.name, |bencher| {
                bencher.iter_custom(|rounds| row.run((shape, threads), rounds));
            });
        }
    }
    criterion.final_summary();
}

/// Medians of interleaved rounds, so that a drift of the machine meets all rows alike; and of the ratios to the
/// first row within each round.
fn ratios(rows: &[Row]) {
    // Many short ones: what else the machine does meets few of them.
    const INTERLEAVED: usize = 151;
    const ROUNDS: u64 = 10_000;
    let mut cells = vec![Vec::new(); rows.len()];
    for (_, shape, threads) in SHAPES {
        let mut measured = vec![Vec::new(); rows.len()];
        for _ in 0..INTERLEAVED {
            for (row, times) in rows.iter().zip(&mut measured) {
                times.push(row.run((shape, threads), ROUNDS));
            }
        }
        let base = measured[0].clone();
        for (times, cells) in measured.into_iter().zip(&mut cells) {
            let against = |(time, base): (&Duration, &Duration)| time.as_secs_f64() / base.as_secs_f64();
            let ratio = median(times.iter().zip(&base).map(against).collect());
            cells.push((median(times).as_secs_f64() * 1e9 / ROUNDS as f64, ratio));
        }
    }
    println!(
        "\n| ns, ratio | {} |\n|---|{}",
        SHAPES.map(|(name, ..)| name).join(" | "),
        "---|".repeat(SHAPES.len())
    );
    for (row, cells) in rows.iter().zip(cells) {
        let cells: Vec<_> = cells.iter().map(|(time, ratio)| format!("{time:.0}, {ratio:.2}")).collect();
        println!("| {} | {} |", row.name, cells.join(" | "));
    }
}

fn main() {
    let is_selected = |mode: &str| std::env::args().any(|argument| argument == mode);
    let modes = ["ratios", "waiters", "handles", "end-to-end"];
    let all = !modes.into_iter().any(is_selected);
    let rows = rows::rows();
    if all {
        criterion(&rows);
    }
    // `cargo test --benches` only wants to know that it runs.
    if !is_selected("--bench") {
        return;
    }
    if all || is_selected("ratios") {
        ratios(&rows);
        ratios(&rows::carrying());
        ratios(&rows::states());
    }
    if all || is_selected("waiters") {
        waiters::print();
    }
    #[cfg(feature = "transport")]
    if all || is_selected("handles") {
        handles::print();
    }
    if all || is_selected("end-to-end") {
        end_to_end::print();
    }
}

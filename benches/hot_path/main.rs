//! What a request with a live token costs, beside tower-http's constant header on the same service.
//!
//! `cargo bench --bench hot_path` measures each row with criterion and then, in interleaved rounds, prints the
//! table of ratios that the README quotes. `cargo bench --bench hot_path -- ratios` prints the table alone,
//! `-- waiters` what a cold start costs those who wait for it, and `-- end-to-end` the whole way of a request.
//!
//! Where the time of a live token goes beyond that of the constant header, about 13 ns on the README's machine: timed
//! by themselves, one reading of the coarse monotonic clock is 6.5 ns, and 4 ns is a reference to the token's copy,
//! which the response future holds in case of a 401. Left out of the whole for a trial, the clock saves 3 ns and the
//! reference less than 1, for much of it runs beside the rest; what remains are the check of the destination, the
//! thread's number, and the move of the response into a result with another error type. What the constant header pays
//! instead, with two threads, is the count of one reference that both share: it makes the constant cost a third more
//! where the two cores are near each other, and twice as much where they are not.
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
    let asked_for = |mode: &str| std::env::args().any(|argument| argument == mode);
    let modes = ["ratios", "waiters", "handles", "end-to-end"];
    let all = !modes.into_iter().any(asked_for);
    let rows = rows::rows();
    if all {
        criterion(&rows);
    }
    // `cargo test --benches` only wants to know that it runs.
    if !asked_for("--bench") {
        return;
    }
    if all || asked_for("ratios") {
        ratios(&rows);
        ratios(&rows::carrying());
        ratios(&rows::states());
    }
    if all || asked_for("waiters") {
        waiters::print();
    }
    #[cfg(feature = "transport")]
    if all || asked_for("handles") {
        handles::print();
    }
    if all || asked_for("end-to-end") {
        end_to_end::print();
    }
}

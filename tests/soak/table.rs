//! What is counted in each phase, and the table of it.

use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub served: u64,
    pub failed: u64,
    pub gave_up: u64,
    pub waited: u64,
    pub worst: Duration,
    pub requested: usize,
    pub reached: usize,
}

impl Counts {
    /// One request: served or failed, or given up.
    pub fn count(&mut self, outcome: Option<bool>, waited: bool, took: Duration) {
        match outcome {
            Some(true) => self.served += 1,
            Some(false) => self.failed += 1,
            None => self.gave_up += 1,
        }
        self.waited += u64::from(waited);
        self.worst = self.worst.max(took);
    }

    /// Token requests, by the library's account or the issuer's.
    pub fn load(&self) -> usize {
        self.requested.max(self.reached)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub lasted: Duration,
    pub counts: Counts,
}

impl Row {
    pub fn new(name: &'static str, lasted: Duration, counts: Counts) -> Self {
        Self { name, lasted, counts }
    }

    pub fn add(&mut self, lasted: Duration, more: Counts) {
        self.lasted += lasted;
        let counts = &mut self.counts;
        counts.served += more.served;
        counts.failed += more.failed;
        counts.gave_up += more.gave_up;
        counts.waited += more.waited;
        counts.worst = counts.worst.max(more.worst);
        counts.requested += more.requested;
        counts.reached += more.reached;
    }
}

/// In Markdown.
#[derive(Debug, Default)]
pub struct Table(Vec<(Row, Option<Duration>)>);

impl Table {
    pub fn push(&mut self, row: Row, back: Option<Duration>) {
        self.0.push((row, back));
    }

    /// How often the issuer was called, by the library's account, and by its own, since the start.
    pub fn requested_and_reached(&self) -> (usize, usize) {
        let counts = self.0.iter().map(|(row, _)| row.counts);
        counts.fold((0, 0), |(requested, reached), counts| {
            (requested + counts.requested, reached + counts.reached)
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| the issuer | seconds | served | failed | gave up | waited | requested | reached | worst ms | back s |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for (Row { name, lasted, counts }, back) in &self.0 {
            let Counts { served, failed, gave_up, waited, worst, requested, reached } = counts;
            let (lasted, worst) = (lasted.as_secs_f64(), worst.as_millis());
            let back = back.map(|back| format!("{:.1}", back.as_secs_f64())).unwrap_or_default();
            writeln!(
                f,
                "| {name} | {lasted:.1} | {served} | {failed} | {gave_up} | {waited} | {requested} | {reached} | {worst} | {back} |"
            )?;
        }
        Ok(())
    }
}

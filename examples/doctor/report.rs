//! All findings, in the order of the steps.

use super::finding::{Finding, Mark, Step};

#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Notes what a step found and hands on what later steps need of it.
    pub(crate) fn take<T>(&mut self, (finding, found): (Finding, Option<T>)) -> Option<T> {
        self.add(finding);
        found
    }

    pub(crate) fn skip(&mut self, steps: &[Step], why: &str) {
        for step in steps {
            self.add(Finding::skipped(*step, why));
        }
    }

    /// Every step that was not looked at depends on this one.
    pub(crate) fn skip_rest(mut self, needed: Step) -> Self {
        for step in Step::ALL {
            if !self.findings.iter().any(|finding| finding.step == step) {
                self.add(Finding::skipped(step, format!("needs `{}`", needed.as_str())));
            }
        }
        self
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        Step::ALL.iter().flat_map(|step| self.findings.iter().filter(move |finding| finding.step == *step))
    }

    /// The first that failed of these steps.
    pub(crate) fn failed(&self, steps: &[Step]) -> Option<Step> {
        let failed = |step: &&Step| {
            let of_step = |finding: &Finding| finding.step == **step && finding.mark == Mark::Failed;
            self.findings.iter().any(of_step)
        };
        steps.iter().find(failed).copied()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.failed(&Step::ALL).is_none()
    }
}

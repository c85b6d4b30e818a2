//! What one step found.

/// What is examined, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    File,
    Keys,
    Variables,
    Credential,
    Proxy,
    Dns,
    Tcp,
    Tls,
    Clock,
    DeveloperApi,
    Token,
    Claims,
}

impl Step {
    pub(crate) const ALL: [Self; 12] = [
        Self::File,
        Self::Keys,
        Self::Variables,
        Self::Credential,
        Self::Proxy,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Clock,
        Self::DeveloperApi,
        Self::Token,
        Self::Claims,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keys => "keys",
            Self::Variables => "variables",
            Self::Credential => "credential",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Clock => "clock",
            Self::DeveloperApi => "api",
            Self::Token => "token",
            Self::Claims => "claims",
        }
    }
}

/// How it went, from best to worst but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Ok,
    Warning,
    Failed,
    Skipped,
}

impl Mark {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One step's result, in one line and what belongs to it.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) step: Step,
    pub(crate) mark: Mark,
    pub(crate) summary: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What deserves attention.
    pub(crate) notes: Vec<String>,
    pub(crate) advice: Option<Advice>,
}

/// What a failure means, and what to do.
#[derive(Debug)]
pub(crate) struct Advice {
    pub(crate) meaning: String,
    pub(crate) remedy: String,
}

impl Finding {
    fn new(step: Step, mark: Mark, summary: impl Into<String>) -> Self {
        Self { step, mark, summary: summary.into(), facts: Vec::new(), notes: Vec::new(), advice: None }
    }

    pub(crate) fn ok(step: Step, summary: impl Into<String>) -> Self {
        Self::new(step, Mark::Ok, summary)
    }

    pub(crate) fn failed(step: Step, summary: impl Into<String>) -> Self {
        Self::new(step, Mark::Failed, summary)
    }

    pub(crate) fn skipped(step: Step, why: impl Into<String>) -> Self {
        Self::new(step, Mark::Skipped, why)
    }

    pub(crate) fn fact(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }

    pub(crate) fn facts(mut self, facts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.facts.extend(facts);
        self
    }

    /// Makes a success a warning.
    pub(crate) fn warn(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        if self.mark == Mark::Ok {
            self.mark = Mark::Warning;
        }
        self
    }

    /// Adds lines without a change of the mark.
    pub(crate) fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    pub(crate) fn advise(mut self, meaning: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.advice = Some(Advice { meaning: meaning.into(), remedy: remedy.into() });
        self
    }
}

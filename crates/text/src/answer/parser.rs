//! The states of an answer: thought, text, call. Whatever is in a tag that is not complete waits; whatever turns out
//! to be no call becomes text again, so nothing a model wrote is lost but the tags and the line breaks beside them.

use serde_json::Value;

use super::Part;
use super::call;
use super::schema::Schemas;
use super::tags::{CALL, CALL_END, FUNCTION, FUNCTION_END, Seen, THINK, THINK_END, find};

/// How often `</tool_call>` may turn out not to end a call before the call is given up. A value may quote the tag, but
/// each time the call is read anew.
const MOST_ENDS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space came: a thought may open.
    Start,
    Thought,
    Text,
    Call,
}

/// Takes an answer apart while it is written.
#[derive(Debug, Clone)]
pub struct AnswerParser {
    schemas: Schemas,
    calls: bool,
    state: State,
    /// What is not decided yet.
    held: String,
    /// In a call: where to look for its end, and how many ends were none.
    searched: usize,
    ends: usize,
    /// Line breaks and spaces before the next text are dropped: they set it off from what was there.
    after_tag: bool,
}

impl AnswerParser {
    /// `thinking`: the prompt ended inside a thought, as Qwen3.5's does unless thinking is off. `tools`: their
    /// definitions, which type the arguments; without tools a tool call is text.
    #[must_use]
    pub fn new(thinking: bool, tools: &[Value]) -> AnswerParser {
        AnswerParser {
            schemas: Schemas::new(tools),
            calls: !tools.is_empty(),
            state: if thinking { State::Thought } else { State::Start },
            held: String::new(),
            searched: 0,
            ends: 0,
            after_tag: thinking,
        }
    }

    /// Takes the next piece of text and gives the parts that are certain.
    pub fn push(&mut self, text: &str) -> Vec<Part> {
        self.held.push_str(text);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// Ends the answer: what was held back, a call without its last tag included.
    pub fn finish(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let rest = std::mem::take(&mut self.held);
        match self.state {
            State::Thought => self.say(&mut parts, rest.trim_end(), true),
            State::Start | State::Text => self.say(&mut parts, &rest, false),
            State::Call => {
                let body = rest.strip_prefix(CALL).unwrap_or(&rest);
                match call::parse(body, &self.schemas) {
                    Some(call) => parts.push(Part::Call { call, source: rest }),
                    None => self.say(&mut parts, &rest, false),
                }
            }
        }
        self.state = State::Text;
        parts
    }

    /// Decides what can be decided of the held text; `false` once there is nothing more.
    fn step(&mut self, parts: &mut Vec<Part>) -> bool {
        match self.state {
            State::Start => self.start(),
            State::Thought => self.thought(parts),
            State::Text => self.text(parts),
            State::Call => self.call(parts),
        }
    }

    fn start(&mut self) -> bool {
        let begun = self.held.trim_start();
        if begun.is_empty() || (begun.len() < THINK.len() && THINK.starts_with(begun)) {
            return false;
        }
        if let Some(after) = begun.strip_prefix(THINK) {
            self.held = after.to_owned();
            self.after_tag = true;
            self.state = State::Thought;
        } else {
            self.state = State::Text;
        }
        true
    }

    fn thought(&mut self, parts: &mut Vec<Part>) -> bool {
        let (end, whole) = match find(&self.held, THINK_END) {
            Seen::Whole(at) => (at, true),
            Seen::Open(at) => (at, false),
        };
        // Line breaks before the end tag are not part of the thought, so those at the end of what is there must wait.
        let thought = self.held[..end].trim_end().to_owned();
        let after = if whole { end + THINK_END.len() } else { thought.len() };
        self.say(parts, &thought, true);
        self.held.drain(..after);
        if whole {
            self.state = State::Text;
            self.after_tag = true;
        }
        whole
    }

    fn text(&mut self, parts: &mut Vec<Part>) -> bool {
        if !self.calls {
            let text = std::mem::take(&mut self.held);
            self.say(parts, &text, false);
            return false;
        }
        // Some models leave out the opening tag and begin with the function.
        let (end, whole) = match (find(&self.held, CALL), find(&self.held, FUNCTION)) {
            (Seen::Whole(a), Seen::Whole(b)) => (a.min(b), true),
            (Seen::Whole(at), _) | (_, Seen::Whole(at)) => (at, true),
            (Seen::Open(a), Seen::Open(b)) => (a.min(b), false),
        };
        // White space before a call sets it off; templates put it back.
        let text = self.held[..end].trim_end().to_owned();
        self.say(parts, &text, false);
        self.held.drain(..if whole { end } else { text.len() });
        if whole {
            self.state = State::Call;
            (self.searched, self.ends) = (0, 0);
        }
        whole
    }

    fn call(&mut self, parts: &mut Vec<Part>) -> bool {
        let Some(at) = self.held[self.searched..].find(CALL_END).map(|at| self.searched + at) else {
            // The beginning of an end tag may be there already.
            let mut from = self.held.len().saturating_sub(CALL_END.len()).max(self.searched);
            while !self.held.is_char_boundary(from) {
                from -= 1;
            }
            self.searched = from;
            return false;
        };
        let after = at + CALL_END.len();
        let body = &self.held[..at];
        let body = body.strip_prefix(CALL).unwrap_or(body);
        match call::parse(body, &self.schemas) {
            Some(call) => {
                let source: String = self.held.drain(..after).collect();
                parts.push(Part::Call { call, source });
                self.after_tag = true;
            }
            // A value that quotes the end tag: the call goes on.
            None if self.ends < MOST_ENDS && unfinished(body) => {
                self.searched = after;
                self.ends += 1;
                return true;
            }
            None => {
                let source: String = self.held.drain(..after).collect();
                self.say(parts, &source, false);
            }
        }
        self.state = State::Text;
        true
    }

    fn say(&mut self, parts: &mut Vec<Part>, text: &str, thought: bool) {
        let text = if self.after_tag { text.trim_start() } else { text };
        if text.is_empty() {
            return;
        }
        self.after_tag = false;
        match (parts.last_mut(), thought) {
            (Some(Part::Reasoning(before)), true) | (Some(Part::Text(before)), false) => {
                before.push_str(text);
            }
            (_, true) => parts.push(Part::Reasoning(text.to_owned())),
            (_, false) => parts.push(Part::Text(text.to_owned())),
        }
    }
}

/// Whether a call in tags is inside a value, so that an end tag in it may be quoted.
fn unfinished(body: &str) -> bool {
    body.trim_start().starts_with(FUNCTION)
        && !body.trim_end().ends_with(FUNCTION_END)
        && body.rfind("<parameter=").is_some_and(|open| !body[open..].contains("</parameter>"))
}

//! Variants of expressions in CEL, each with one small fault.

use std::ops::Range;

/// An expression with one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    pub text: String,
    /// The place of the fault and what stands there now.
    pub change: String,
    /// Whether a row is missing, which is never without effect.
    pub is_row: bool,
}

/// A part of an expression that is one unit to the reader of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// A string literal, without its quotes.
    Text,
    Operator,
    Other,
}

/// Returns every expression that has one fault: another comparison, `||` in place of `&&`, a `!` less, another string, or
/// a row less.
pub fn mutants(expression: &str) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (token, range) in tokens(expression) {
        let text = &expression[range.clone()];
        match token {
            Token::Text => all.push(replaced(expression, range.end..range.end, "~")),
            Token::Operator => all.extend(instead(text).iter().map(|other| replaced(expression, range.clone(), other))),
            Token::Other => {}
        }
    }
    let rows = rows(expression).into_iter().map(|row| replaced(expression, row, "[]"));
    all.extend(rows.map(|mutant| Mutant { is_row: true, ..mutant }));
    all
}

/// Returns what a fault puts in the place of an operator.
fn instead(operator: &str) -> &'static [&'static str] {
    match operator {
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &["<=", ">="],
        "<=" => &["<", ">"],
        ">" => &[">=", "<="],
        ">=" => &[">", "<"],
        "&&" => &["||"],
        "||" => &["&&"],
        "!" => &[""],
        _ => &[],
    }
}

fn replaced(expression: &str, range: Range<usize>, new: &str) -> Mutant {
    let (before, after) = (&expression[..range.start], &expression[range.end..]);
    let start: String = before.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
    let end: String = after.chars().take(60).collect();
    let old: String = expression[range].chars().take(200).collect();
    Mutant { text: format!("{before}{new}{after}"), change: format!("{start}«{old} → {new}»{end}"), is_row: false }
}

/// Returns the operators and the string literals of an expression.
fn tokens(expression: &str) -> Vec<(Token, Range<usize>)> {
    let bytes = expression.as_bytes();
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let two = expression.get(at..at + 2).unwrap_or_default();
        let (token, range, next) = match bytes[at] {
            quote @ (b'\'' | b'"') => {
                let is_raw = at > 0 && bytes[at - 1] == b'r' && !(at > 1 && bytes[at - 2].is_ascii_alphanumeric());
                let end = end_of_text(bytes, at + 1, quote, is_raw);
                (Token::Text, at + 1..end, end + 1)
            }
            _ if ["==", "!=", "<=", ">=", "&&", "||"].contains(&two) => (Token::Operator, at..at + 2, at + 2),
            b'<' | b'>' | b'!' => (Token::Operator, at..at + 1, at + 1),
            _ => (Token::Other, at..at + 1, at + 1),
        };
        if token != Token::Other {
            all.push((token, range));
        }
        at = next;
    }
    all
}

fn end_of_text(bytes: &[u8], mut at: usize, quote: u8, is_raw: bool) -> usize {
    while bytes[at] != quote {
        at += if bytes[at] == b'\\' && !is_raw { 2 } else { 1 };
    }
    at
}

/// Returns the rows of an expression, each on a line of its own and joined by `+`.
fn rows(expression: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    starts.extend(expression.match_indices("\n+ ").map(|(at, separator)| at + separator.len()));
    if starts.len() == 1 {
        return Vec::new();
    }
    let ends = starts.iter().skip(1).map(|start| start - "\n+ ".len()).chain([expression.len()]);
    let rows = starts.iter().zip(ends).map(|(start, end)| {
        let row = &expression[*start..end];
        // The first row may stand behind a condition for all rows, and within their parentheses.
        let condition = row.find("? [] : ").filter(|at| !row[..*at].contains('(')).map_or(0, |at| at + "? [] : ".len());
        *start + condition..end
    });
    rows.map(|row| balanced(expression, row)).collect()
}

/// Leaves the parentheses out that enclose more than the row.
fn balanced(expression: &str, row: Range<usize>) -> Range<usize> {
    let parentheses = tokens_outside_texts(&expression[row.clone()]);
    let (mut depth, mut closed) = (0_usize, None);
    for (at, byte) in &parentheses {
        match byte {
            b'(' => depth += 1,
            _ if depth > 0 => depth -= 1,
            _ => {
                closed = Some(*at);
                break;
            }
        }
    }
    let end = closed.map_or(row.end, |at| row.start + at);
    let opened = if closed.is_none() { depth } else { 0 };
    row.start + opened..end
}

/// Returns the parentheses that are not in a string literal.
fn tokens_outside_texts(text: &str) -> Vec<(usize, u8)> {
    let texts: Vec<Range<usize>> =
        tokens(text).into_iter().filter(|(token, _)| *token == Token::Text).map(|(_, range)| range).collect();
    let parentheses = text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'(' | b')'));
    parentheses.filter(|(at, _)| !texts.iter().any(|range| range.contains(at))).collect()
}

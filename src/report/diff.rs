//! Unified diffs of files, as `patch -p1` and `git apply` read them.

use std::io::{self, Write};
use std::ops::Range;

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};

use crate::scan::json::printable;

/// Its time grows with the number of lines, and not with that of the changes too, since names and times are unique lines.
const ALGORITHM: Algorithm = Algorithm::Patience;

/// The unchanged lines around each change, as `diff -u` prints them.
const CONTEXT_LINES: usize = 3;

/// Writes the difference between two contents of a file. With `is_terminal` it has colours, and control characters are
/// replaced; otherwise its lines are those of the file.
pub fn write(out: &mut impl Write, name: &str, old: &[u8], new: &[u8], is_terminal: bool) -> io::Result<()> {
    let lines = |text: &'_ [u8]| text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let mut diff = DiffWriter { out, is_terminal };
    diff.line(BOLD, &format!("--- {}\n", header("a", name)).into_bytes())?;
    diff.line(BOLD, &format!("+++ {}\n", header("b", name)).into_bytes())?;
    for hunk in group_diff_ops(capture_diff_slices(ALGORITHM, &old, &new), CONTEXT_LINES) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let ranges = [DiffOp::old_range, DiffOp::new_range].map(|of| range(of(first).start..of(last).end));
        diff.line(CYAN, &format!("@@ -{} +{} @@\n", ranges[0], ranges[1]).into_bytes())?;
        for op in hunk {
            let (before, after) = (&old[op.old_range()], &new[op.new_range()]);
            match op.tag() {
                DiffTag::Equal => diff.lines(b' ', anstyle::Style::new(), before)?,
                DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                    diff.lines(b'-', RED, before)?;
                    diff.lines(b'+', GREEN, after)?;
                }
            }
        }
    }
    Ok(())
}

const BOLD: anstyle::Style = anstyle::Style::new().bold();
const CYAN: anstyle::Style = anstyle::AnsiColor::Cyan.on_default();
const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();

/// The name of a file in a header, relative, in quotes as git writes them if it has special characters.
fn header(side: &str, name: &str) -> String {
    let name = name.trim_start_matches("./").trim_start_matches('/');
    let is_special = |c: char| c.is_control() || ['"', '\\'].contains(&c);
    if name.contains(is_special) {
        let escaped: String = name.bytes().map(escape).collect();
        return format!("\"{side}/{escaped}\"");
    }
    // Without the tab, a name would end at its first space.
    format!("{side}/{name}{}", if name.contains(' ') { "\t" } else { "" })
}

fn escape(byte: u8) -> String {
    match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

/// The lines of a hunk, counted from 1. An empty range is named by the line before it.
fn range(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

struct DiffWriter<'o, W> {
    out: &'o mut W,
    is_terminal: bool,
}

impl<W: Write> DiffWriter<'_, W> {
    fn lines(&mut self, sign: u8, style: anstyle::Style, lines: &[Vec<u8>]) -> io::Result<()> {
        for line in lines {
            let end: &[u8] = if line.ends_with(b"\n") { b"" } else { b"\n\\ No newline at end of file\n" };
            self.line(style, &[&[sign], &line[..]].concat())?;
            self.out.write_all(end)?;
        }
        Ok(())
    }

    fn line(&mut self, style: anstyle::Style, line: &[u8]) -> io::Result<()> {
        if !self.is_terminal {
            return self.out.write_all(line);
        }
        let text = String::from_utf8_lossy(line);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        write!(self.out, "{style}{}{style:#}{end}", printable(text, usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(name: &str, old: &str, new: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, name, old.as_bytes(), new.as_bytes(), false).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Expects the output of GNU diff 3.10 with -u.
    #[test]
    fn hunks_are_those_of_diff() {
        let lines = |range: Range<usize>| range.map(|line| format!("{line}\n")).collect::<String>();
        let old = lines(1..30);
        let new = old.replace("\n5\n", "\nfive\nV\n").replace("\n25\n", "\n");
        let expected = "--- a/x y\t\n+++ b/x y\t\n@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+five\n+V\n 6\n 7\n 8\n\
                        @@ -22,7 +23,6 @@\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n";
        assert_eq!(diff("./x y", &old, &new), expected);
        let expected = "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\r\n\\ No newline at end of file\n+a\r\n+b\n\\ No newline at end of file\n";
        assert_eq!(diff("/x", "a\r", "a\r\nb"), expected);
        assert_eq!(diff("x\n\"é\\", "", "a\n").lines().next(), Some(r#"--- "a/x\012\"\303\251\\""#));
        assert!(diff("x", "", "a\n").ends_with("@@ -0,0 +1 @@\n+a\n"));
    }
}

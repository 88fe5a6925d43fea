//! `docs/ledger-table.md` against the structures that it declares.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::process::{Command, Stdio};

use ndbridge_layout::{Axis, Span};

use crate::abi::{self, CAnswer, CBorrow, CLoan, TABLE_VERSION};
use crate::borrow_kind::BorrowKind;
use crate::call_site::{CallSite, Explained};
use crate::file_piece::{FileId, FilePiece, FilePlace};
use crate::loan_gate::{GateFunctions, LoanGate, Says, Text};
use crate::map_mode::MapMode;
use crate::table::LedgerTable;

/// Size, and the offsets of the fields in order.
type Shape<'t> = (usize, Vec<(&'t str, usize)>);

macro_rules! shapes {
    ($($name:literal: $type:ty { $($($field:ident).+),+ })+) => {
        [$(($name, (size_of::<$type>(), vec![
            $((last(stringify!($($field).+)), offset_of!($type, $($field).+))),+
        ]))),+]
    };
}

/// `maps.count` is declared as `count`.
fn last(path: &'static str) -> &'static str {
    path.rsplit('.').next().unwrap_or(path).trim()
}

fn ours() -> BTreeMap<&'static str, Shape<'static>> {
    BTreeMap::from(shapes! {
        "span": Span { start, end }
        "axis": Axis { len, stride }
        "explained": Explained { file, file_len, line, column }
        "call_site": CallSite { site, explain }
        "borrow": CBorrow { kind, in_file, bytes, axes, axes_len, at }
        "answer": CAnswer { token, held }
        "file_id": FileId { volume, index }
        "file_piece": FilePiece { file, bytes, offset, mode }
        "file_place": FilePlace { shift, is_copy }
        "text": Text { bytes, len }
        "says": Says { is_open, gate, reason }
        "gate_functions": GateFunctions { check, retain, release }
        "gate": LoanGate { context, identity, functions }
        "loan": CLoan { number, gate }
        "ledger": LedgerTable {
            version, table_bytes, context, acquire, release,
            maps.count, maps.map, maps.unmap, maps.lend, maps.next_loan, maps.locate
        }
    })
}

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ledger-table.md");
    std::fs::read_to_string(path).expect("the page")
}

fn declarations(page: &str) -> &str {
    let (_, rest) = page.split_once("```c\n").expect("a block of C");
    rest.split_once("```").expect("its end").0
}

/// Name, size, and fields with offsets, of each structure that is declared.
fn declared(source: &str) -> BTreeMap<&str, Shape<'_>> {
    let structures = source.split("\nstruct ndbridge_").skip(1).map(|text| {
        let (head, body) = text.split_once('\n').expect("a body");
        let (name, size) = head.split_once(" { ").expect("a name");
        let fields = body.split_once("\n};").expect("an end").0.split_inclusive("*/");
        (name, (number(size), fields.map(field).collect()))
    });
    structures.collect()
}

/// `uint64_t token; /* 0 */`, or a pointer to a function.
fn field(declaration: &str) -> (&str, usize) {
    let (code, comment) = declaration.rsplit_once(';').expect("a declaration");
    let name = match code.split_once("(*") {
        Some((_, function)) => function.split_once(')').expect("a name").0,
        None => code.rsplit([' ', '*']).next().expect("a name"),
    };
    (name, number(comment))
}

fn number(comment: &str) -> usize {
    let digits: String = comment.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number in a comment")
}

#[test]
#[cfg_attr(miri, ignore = "reads a file")]
#[cfg_attr(not(target_pointer_width = "64"), ignore = "the page is about 64-bit targets")]
fn mut_1_the_page_declares_the_structures() {
    let page = page();
    let (declared, ours) = (declared(declarations(&page)), ours());
    assert_eq!(declared.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    for (name, shape) in ours {
        assert_eq!(declared[name], shape, "struct ndbridge_{name}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads a file")]
fn mut_1_the_page_has_the_codes() {
    let page = page();
    let defined = |name: &str| {
        let start = format!("#define NDBRIDGE_{name} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&start));
        line.and_then(|line| line.split(' ').next()?.parse().ok()).unwrap_or(i64::MAX)
    };
    let modes = [MapMode::Read, MapMode::ReadWrite, MapMode::CopyOnWrite].map(|mode| mode as i64);
    let names = ["MAP_READ", "MAP_READ_WRITE", "MAP_COPY_ON_WRITE"];
    assert_eq!(names.map(defined), modes);
    let names = ["READ", "WRITE", "SHARED1", "SHARED2", "SHARED4", "SHARED8"];
    assert_eq!(names.map(defined), BorrowKind::ALL.map(|kind| kind as i64));
    let codes = [abi::DONE, abi::CONFLICT, abi::NOTHING, abi::FAILED].map(i64::from);
    assert_eq!(["DONE", "CONFLICT", "NOTHING", "FAILED"].map(defined), codes);
    assert_eq!(defined("LEDGER_VERSION"), i64::from(TABLE_VERSION));
}

/// Where there is a C compiler: it gives the structures the sizes and offsets that the page says.
#[test]
#[cfg_attr(miri, ignore = "runs a compiler")]
#[cfg_attr(not(target_pointer_width = "64"), ignore = "the page is about 64-bit targets")]
fn mut_1_a_c_compiler_takes_the_page() {
    use std::fmt::Write;
    let page = page();
    let mut source = declarations(&page).to_owned();
    for (name, (size, fields)) in declared(declarations(&page)) {
        let structure = format!("struct ndbridge_{name}");
        writeln!(source, "_Static_assert(sizeof({structure}) == {size}, \"size\");").unwrap();
        for (field, offset) in fields {
            let found = format!("offsetof({structure}, {field})");
            writeln!(source, "_Static_assert({found} == {offset}, \"{name}.{field}\");").unwrap();
        }
    }
    let arguments = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "-"];
    let started = Command::new("cc").args(arguments).stdin(Stdio::piped()).spawn();
    let Ok(mut compiler) = started else { return };
    let mut input = compiler.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, source.as_bytes()).unwrap();
    drop(input);
    assert!(compiler.wait().unwrap().success());
}

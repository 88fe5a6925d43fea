//! Every view operation gives NumPy's shape, strides and offset, cell by cell:
//! `numpy_cases/generate.py` asked NumPy.

use std::str::FromStr;

use ndbridge_layout::{Index, Layout, LayoutError, Order, Parts, broadcast_shapes};

const CASES: &str = include_str!("numpy_cases/views.txt");

fn number<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

fn list<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(number).collect()
}

fn joined<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn index_entry(text: &str) -> Index {
    match text {
        "N" => Index::NewAxis,
        "..." => Index::Ellipsis,
        _ if text.contains(':') => {
            let bound = |part: &str| (!part.is_empty()).then(|| number(part));
            let parts: Vec<&str> = text.split(':').collect();
            Index::Slice {
                start: bound(parts[0]),
                stop: bound(parts[1]),
                step: bound(parts[2]).unwrap_or(1),
            }
        }
        _ => Index::At(number(text)),
    }
}

fn index(base: &Layout, text: &str) -> Result<Layout, LayoutError> {
    let entries: Vec<Index> =
        if text.is_empty() { Vec::new() } else { text.split(',').map(index_entry).collect() };
    base.index(&entries)
}

fn windows(base: &Layout, text: &str) -> Result<Layout, LayoutError> {
    match text.split_once('@') {
        None => base.sliding_windows(&list(text), None),
        Some((window, axes)) => base.sliding_windows(&list(window), Some(&list(axes))),
    }
}

fn squeeze(base: &Layout, text: &str) -> Result<Layout, LayoutError> {
    if text == "all" { base.squeeze(None) } else { base.squeeze(Some(&list(text))) }
}

/// What a view is in the file's words. NumPy may move the pointer of an array without elements; we
/// do not.
fn describe(base: &Layout, view: &Layout, expected: &str) -> String {
    let offset = if view.is_empty() {
        assert_eq!(view.offset(), base.offset(), "a view without elements keeps the offset");
        expected.rsplit(';').next().unwrap_or_default().to_owned()
    } else {
        view.offset().to_string()
    };
    format!("{};{};{offset}", joined(view.shape()), joined(view.strides()))
}

fn split(base: &Layout, parts: Parts, axis: isize, expected: &str) -> Result<String, LayoutError> {
    let parts = base.split(parts, axis)?;
    assert_eq!(parts.len(), expected.split('/').count());
    let described = parts.zip(expected.split('/')).map(|(part, cell)| describe(base, &part, cell));
    Ok(described.collect::<Vec<_>>().join("/"))
}

fn flags(base: &Layout, item: usize) -> String {
    let flag = |order| u8::from(base.is_contiguous(order, item));
    format!("{}{}", flag(Order::C), flag(Order::F))
}

fn together(text: &str) -> Result<String, LayoutError> {
    let shapes: Vec<Vec<usize>> = text.split('|').map(list).collect();
    let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    Ok(joined(&broadcast_shapes(&shapes)?))
}

fn answer(
    base: &Layout,
    item: usize,
    operation: &str,
    args: &str,
    expected: &str,
) -> Result<String, LayoutError> {
    let numbers = || list::<isize>(args);
    let view = match operation {
        "index" => index(base, args)?,
        "select" => base.select(numbers()[0], numbers()[1])?,
        "permute" => base.permute(&numbers())?,
        "swap" => base.swap_axes(numbers()[0], numbers()[1])?,
        "flip" => base.flip(&numbers())?,
        "squeeze" => squeeze(base, args)?,
        "unsqueeze" => base.unsqueeze(numbers()[0], item)?,
        "broadcast" => base.broadcast_to(&list(args))?,
        "diagonal" => base.diagonal(numbers()[0], numbers()[1], numbers()[2])?,
        "windows" => windows(base, args)?,
        "reshape" => base.reshape(&numbers(), item)?,
        "reinterpret" => base.reinterpret(item, numbers()[0] as usize)?,
        "split" => {
            return split(base, Parts::Sections(numbers()[0] as usize), numbers()[1], expected);
        }
        "split_at" => return split(base, Parts::At(&numbers()[1..]), numbers()[0], expected),
        "flags" => return Ok(flags(base, item)),
        "keep" => return Ok(joined(base.keep_order(item, numbers()[0] as usize)?.strides())),
        "new" => {
            let order = if args == "C" { Order::C } else { Order::F };
            return Ok(joined(Layout::contiguous(base.shape(), item, order)?.strides()));
        }
        "together" => return together(args),
        _ => panic!("unknown operation {operation}"),
    };
    Ok(describe(base, &view, expected))
}

fn replay(line: &str) {
    let cells: Vec<&str> = line.splitn(6, ';').collect();
    let [item, shape, strides, offset, call, expected] = cells[..] else { panic!("{line}") };
    let item = number(item);
    let base = Layout::new(&list(shape), &list(strides), number(offset), item).expect(line);
    let (operation, args) = call.split_once(' ').expect(line);
    let found = match answer(&base, item, operation, args, expected) {
        Ok(found) => found,
        Err(LayoutError::NeedsCopy { .. }) => "!copy".to_owned(),
        Err(_) => "!".to_owned(),
    };
    assert_eq!(found, expected, "{line}");
}

#[test]
fn shr_6_views_equal_numpys() {
    let step = if cfg!(miri) { 300 } else { 1 };
    for line in CASES.lines().step_by(step) {
        replay(line);
    }
}

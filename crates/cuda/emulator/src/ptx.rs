//! What the driver reads of a PTX text here: entry points and their parameters.

use std::collections::HashMap;

/// The kernels of a PTX text, and the sizes of their parameters in bytes; `None` if it is no PTX.
pub fn entries(ptx: &str) -> Option<HashMap<String, Vec<usize>>> {
    if !ptx.contains(".version") || !ptx.contains(".target") {
        return None;
    }
    ptx.split(".entry ").skip(1).map(entry).collect()
}

fn entry(text: &str) -> Option<(String, Vec<usize>)> {
    let (name, rest) = text.split_once('(')?;
    let (parameters, _) = rest.split_once(')')?;
    let parameters = parameters.split(',').filter(|parameter| parameter.contains(".param"));
    Some((name.trim().to_owned(), parameters.map(size).collect::<Option<_>>()?))
}

/// The size of `.param .align 8 .b8 name[64]` or `.param .u64 name`.
fn size(parameter: &str) -> Option<usize> {
    let is_type = |word: &&str| [".u", ".s", ".b", ".f"].iter().any(|kind| word.starts_with(kind));
    let unit = parameter.split_whitespace().find(is_type)?[2..].parse::<usize>().ok()? / 8;
    match parameter.split_once('[') {
        Some((_, count)) => Some(unit * count.split_once(']')?.0.trim().parse::<usize>().ok()?),
        None => Some(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_their_sizes() {
        let ptx = ".version 7.0\n.target sm_70\n.visible .entry fill(\n\t.param .u64 .ptr a,\n\
                   \t.param .align 8 .b8 b[24],\n\t.param .u8 c\n)\n{ ret; }\n.visible .entry none()\n{}";
        let found = entries(ptx).unwrap();
        assert_eq!(found["fill"], [8, 24, 1]);
        assert_eq!(found["none"], [0; 0]);
        assert_eq!(entries("no PTX"), None);
    }
}

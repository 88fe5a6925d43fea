//! DTY-1, the part that needs no array: a dtype survives being written and read.

use ndbridge_dtype::{ByteOrder, DType, DTypeError, Element, match_dtype, parse_type_string};

#[test]
fn dty_1_name_reads_back() {
    for dtype in DType::ALL {
        assert_eq!(dtype.to_string(), dtype.name());
        assert_eq!(dtype.name().parse(), Ok(dtype));
        assert_eq!(DType::from_name(dtype.name()), Some(dtype));
    }
}

#[test]
fn dty_1_type_string_reads_back_in_both_orders() {
    let mut without = Vec::new();
    for dtype in DType::ALL {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let Some(text) = dtype.type_string(order) else {
                without.push(dtype);
                continue;
            };
            let order = if dtype.item_bytes() == 1 { ByteOrder::NATIVE } else { order };
            assert_eq!(parse_type_string(text), Ok((dtype, order)), "{text}");
        }
    }
    let none = [DType::BF16, DType::F8E4M3, DType::F8E5M2];
    assert_eq!(without, none.map(|dtype| [dtype; 2]).concat());
}

#[test]
fn dty_1_sizes_are_those_of_the_type_strings() {
    for dtype in DType::ALL {
        if let Some(text) = dtype.type_string(ByteOrder::Little) {
            assert_eq!(text[2..], dtype.item_bytes().to_string(), "{dtype}");
        }
    }
}

#[test]
fn dty_1_dispatch_reaches_the_type_of_each_dtype() {
    for dtype in DType::ALL {
        let (same, bytes, align) =
            match_dtype!(dtype, T => (T::DTYPE, size_of::<T>(), align_of::<T>()));
        assert_eq!((same, bytes, align), (dtype, dtype.item_bytes(), dtype.align_bytes()));
        let components = if dtype.kind() == ndbridge_dtype::Kind::Complex { 2 } else { 1 };
        assert_eq!(dtype.component_bytes() * components, dtype.item_bytes(), "{dtype}");
    }
}

/// What `numpy.dtype` makes of each, on 64-bit Linux with NumPy 2.4.
const ALIASES: &[(&str, DType)] = &[
    ("?", DType::Bool),
    ("bool_", DType::Bool),
    ("b1", DType::Bool),
    ("=b1", DType::Bool),
    (">b1", DType::Bool),
    ("b", DType::I8),
    ("byte", DType::I8),
    ("h", DType::I16),
    ("short", DType::I16),
    ("i", DType::I32),
    ("i4", DType::I32),
    ("intc", DType::I32),
    ("q", DType::I64),
    ("i8", DType::I64),
    ("longlong", DType::I64),
    ("B", DType::U8),
    ("ubyte", DType::U8),
    ("H", DType::U16),
    ("ushort", DType::U16),
    ("I", DType::U32),
    ("uintc", DType::U32),
    ("Q", DType::U64),
    ("ulonglong", DType::U64),
    ("e", DType::F16),
    ("half", DType::F16),
    ("|f4", DType::F32),
    ("=f4", DType::F32),
    ("f", DType::F32),
    ("single", DType::F32),
    ("d", DType::F64),
    ("float", DType::F64),
    ("double", DType::F64),
    ("F", DType::C64),
    ("csingle", DType::C64),
    ("D", DType::C128),
    ("complex", DType::C128),
    ("cdouble", DType::C128),
    ("f1", DType::F8E5M2),
];

const ALIASES_ON_64_BITS: &[(&str, DType)] = &[
    ("int", DType::I64),
    ("int_", DType::I64),
    ("intp", DType::I64),
    ("n", DType::I64),
    ("p", DType::I64),
    ("uint", DType::U64),
    ("uintp", DType::U64),
    ("N", DType::U64),
    ("P", DType::U64),
];

/// C's `long` has 32 bits on Windows.
const ALIASES_ON_64_BIT_UNIX: &[(&str, DType)] =
    &[("l", DType::I64), ("long", DType::I64), ("L", DType::U64), ("ulong", DType::U64)];

#[test]
fn dty_1_aliases_mean_what_they_mean_in_numpy() {
    let mut aliases = ALIASES.to_vec();
    if cfg!(target_pointer_width = "64") {
        aliases.extend(ALIASES_ON_64_BITS);
    }
    if cfg!(all(unix, target_pointer_width = "64")) {
        aliases.extend(ALIASES_ON_64_BIT_UNIX);
    }
    for (text, dtype) in aliases {
        assert_eq!(text.parse(), Ok(dtype), "{text}");
    }
}

#[test]
fn dty_1_what_numpy_does_not_read_is_unknown() {
    let texts = [
        "",
        "<",
        "<<f4",
        " f4",
        "f4 ",
        "F4",
        "i3",
        "Float32",
        "float_",
        "bool8",
        "u",
        "x4",
        "f04",
        "f4f4",
        "np.float32",
        ">float64",
        "<bool",
        "V8x",
        "Mx",
        "é4",
        "<é",
        "f٤",
        "c1",
        "b2",
        "f-4",
        "i18446744073709551624",
    ];
    for text in texts {
        let error = DTypeError::Unknown { text: text.to_owned() };
        assert_eq!(text.parse::<DType>(), Err(error), "{text:?}");
    }
}

#[test]
fn dty_1_foreign_byte_order_is_told_and_read_only_when_asked() {
    let foreign =
        if ByteOrder::NATIVE == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little };
    for dtype in DType::ALL.into_iter().filter(|dtype| dtype.component_bytes() > 1) {
        let Some(text) = dtype.type_string(foreign) else { continue };
        let error = text.parse::<DType>().unwrap_err();
        let expected =
            DTypeError::ForeignByteOrder { text: text.to_owned(), dtype, order: foreign };
        assert_eq!(error, expected);
        let call = format!("astype(\"{dtype}\") (copies)");
        assert!(error.to_string().contains(&call), "{error}");
        assert_eq!(parse_type_string(text), Ok((dtype, foreign)));
    }
}

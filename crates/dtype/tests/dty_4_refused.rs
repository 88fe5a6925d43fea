//! DTY-4: what cannot be carried is refused by name, with the view that would work if there is one.

use ndbridge_dtype::{DType, DTypeError, Refused, parse_type_string};

/// Each text is a dtype of NumPy, `ml_dtypes` or torch, by name or type string.
const REFUSED: &[(Refused, &[&str])] = &[
    (Refused::Object, &["object", "object_", "O", "|O", "|O8"]),
    (Refused::Text, &["str", "str_", "U", "<U5", ">U1", "=U12"]),
    (Refused::VariableText, &["StringDType()", "T"]),
    (Refused::Bytes, &["bytes", "bytes_", "S", "|S5", "a5", "c"]),
    (Refused::Datetime, &["datetime64", "datetime64[ns]", "M", "M8", "<M8[ns]", ">M8[25s]"]),
    (Refused::Timedelta, &["timedelta64", "timedelta64[D]", "m", "m8", "<m8[us]"]),
    (Refused::Void, &["void", "V", "|V8", "<V2"]),
    (Refused::Structured, &["f8,f4", "i8,", "(2,)f4", "[('x', '<f4')]", "{'names': ['x']}"]),
    (Refused::LongDouble, &["longdouble", "float128", "g", "<f16", "f16", ">f12"]),
    (Refused::ComplexLongDouble, &["clongdouble", "complex256", "G", "<c32"]),
    (Refused::ComplexHalf, &["complex32", "bcomplex32", "chalf"]),
    (Refused::OtherFloat8, &["float8_e4m3", "float8_e4m3fnuz", "float8_e8m0fnu"]),
    (Refused::SubByte, &["int4", "uint2", "float4_e2m1fn"]),
    (Refused::Quantized, &["qint8", "quint8"]),
];

#[test]
fn dty_4_refused_by_name() {
    for &(kind, texts) in REFUSED {
        for &text in texts {
            let error = text.parse::<DType>().unwrap_err();
            assert_eq!(error, DTypeError::Refused { text: text.to_owned(), kind }, "{text}");
            let message = error.to_string();
            assert!(message.contains(text) && message.contains(&kind.to_string()), "{message}");
        }
    }
}

#[test]
fn dty_4_type_strings_are_refused_as_names_are() {
    for text in ["|O", "<U5", "|S5", "<M8[ns]", "<m8[us]", "|V8", "<f16", ">c32", "f8,f4"] {
        assert_eq!(
            parse_type_string(text).unwrap_err(),
            text.parse::<DType>().unwrap_err(),
            "{text}"
        );
    }
}

#[test]
fn dty_4_the_view_that_works_is_in_the_message() {
    for &(kind, texts) in REFUSED {
        let message = texts[0].parse::<DType>().unwrap_err().to_string();
        match kind.view() {
            Some(dtype) => {
                let call = format!("view(\"{dtype}\")");
                let converted = kind == Refused::SubByte;
                assert!(converted || message.contains(&call), "{message}");
            }
            None => assert!(message.contains("call ") || message.contains("take "), "{message}"),
        }
    }
}

#[test]
fn dty_4_messages_read_well() {
    let message = |text: &str| text.parse::<DType>().unwrap_err().to_string();
    assert_eq!(
        message("<M8[ns]"),
        "dtype \"<M8[ns]\" is points in time and cannot be carried: \
         call view(\"int64\") for the count of its unit"
    );
    assert_eq!(
        message("longdouble"),
        "dtype \"longdouble\" is C long double and cannot be carried: \
         call astype(\"float64\") (copies)"
    );
}

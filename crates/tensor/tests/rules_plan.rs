//! The plan: every fact beside every request, and conversions that do what was planned.
mod zoo;

use ndbridge_tensor::dtype::{ByteOrder, Casting, can_cast};
use ndbridge_tensor::{
    Action, CopyReason, CopyReasons, CopyRule, DType, Device, Facts, Order, Plan, Refusal, Request,
    Tensor, TensorError, copies, plan,
};

const BOTH: [bool; 2] = [false, true];
const RULES: [CopyRule; 3] = [CopyRule::Never, CopyRule::IfNeeded, CopyRule::Always];

fn foreign_order() -> ByteOrder {
    if ByteOrder::NATIVE == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little }
}

fn all_facts() -> Vec<Facts> {
    let mut all = Vec::new();
    for dtype in [DType::I16, DType::F32] {
        for byte_order in [ByteOrder::NATIVE, foreign_order()] {
            for flags in 0..32_u32 {
                for device in [Device::Cpu, Device::Cuda(0)] {
                    let flag = |bit: u32| flags >> bit & 1 == 1;
                    all.push(Facts {
                        dtype,
                        byte_order,
                        len: 10,
                        c_contiguous: flag(0),
                        f_contiguous: flag(1),
                        aligned: flag(2),
                        writable: flag(3),
                        device,
                        is_array: flag(4),
                    });
                }
            }
        }
    }
    all
}

fn all_requests() -> Vec<Request> {
    let mut all = Vec::new();
    for dtype in [None, Some(DType::I16), Some(DType::F32)] {
        for casting in [Casting::Safe, Casting::Unsafe] {
            for copy in RULES {
                for order in [None, Some(Order::C), Some(Order::F)] {
                    for (aligned, writable) in BOTH.iter().flat_map(|&a| BOTH.map(|w| (a, w))) {
                        for device in [None, Some(Device::Cpu), Some(Device::Cuda(0))] {
                            all.push(Request {
                                call: "test",
                                dtype,
                                casting,
                                copy,
                                order,
                                aligned,
                                writable,
                                device,
                                non_blocking: false,
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

/// What stands between the source and the request, told anew.
fn needs(facts: &Facts, request: &Request) -> Vec<CopyReason> {
    let mut needs = Vec::new();
    let mut need = |reason, applies: bool| needs.extend(applies.then_some(reason));
    need(CopyReason::NotAnArray, !facts.is_array);
    need(CopyReason::DType, request.dtype.is_some() && request.dtype != Some(facts.dtype));
    need(CopyReason::ByteOrder, facts.byte_order != ByteOrder::NATIVE);
    let wrong_order = match request.order {
        Some(Order::C) => !facts.c_contiguous,
        Some(Order::F) => !facts.f_contiguous,
        None => false,
    };
    need(CopyReason::Order, wrong_order);
    need(CopyReason::Alignment, request.aligned && !facts.aligned);
    need(CopyReason::ReadOnly, request.writable && !facts.writable);
    let elsewhere = request.device.is_some() && request.device != Some(facts.device);
    let pinned_as_host = facts.device == Device::CudaHost && request.device == Some(Device::Cpu);
    need(CopyReason::Device, elsewhere && !pinned_as_host);
    needs
}

#[test]
fn shr_3_the_plan_shares_iff_nothing_is_needed_and_never_copies_unasked() {
    let facts = all_facts();
    let requests: Vec<_> = all_requests().into_iter().step_by(zoo::stride(97)).collect();
    for facts in facts.iter().step_by(zoo::stride(29)) {
        for request in &requests {
            let what = format!("{facts:?} {request:?}");
            let needs = needs(facts, request);
            let to = request.dtype.unwrap_or(facts.dtype);
            match plan(facts, request) {
                Plan::Refuse(Refusal::Casting { from, to: asked, .. }) => {
                    assert!(!can_cast(from, asked, request.casting), "{what}");
                    assert_eq!((from, asked), (facts.dtype, to), "{what}");
                }
                answer => {
                    assert!(can_cast(facts.dtype, to, request.casting), "{what}");
                    let is_asked = request.copy == CopyRule::Always;
                    let expected =
                        needs.iter().fold(CopyReasons::NONE, |all, &reason| all.with(reason));
                    let expected =
                        if is_asked { expected.with(CopyReason::Requested) } else { expected };
                    match answer {
                        Plan::Share => assert!(needs.is_empty() && !is_asked, "{what}"),
                        Plan::Refuse(Refusal::NeedsCopy { reasons, bytes, from, to: asked }) => {
                            assert_eq!((from, asked), (facts.dtype, to), "{what}");
                            assert_eq!(
                                (request.copy, reasons),
                                (CopyRule::Never, expected),
                                "{what}"
                            );
                            assert_eq!(bytes, 10 * to.item_bytes(), "{what}");
                            assert!(!reasons.is_empty(), "{what}");
                        }
                        Plan::Copy { reasons, bytes } => {
                            assert!(request.copy != CopyRule::Never, "{what}");
                            assert_eq!(
                                (reasons, bytes),
                                (expected, 10 * to.item_bytes()),
                                "{what}"
                            );
                            assert!(!reasons.is_empty(), "{what}");
                        }
                        other => panic!("{what}: {other}"),
                    }
                }
            }
        }
    }
}

#[test]
fn shr_3_the_facts_are_what_the_layout_says() {
    for case in zoo::zoo(DType::F32) {
        let facts = case.tensor.facts();
        let offsets = zoo::element_offsets(&case.tensor);
        let dense = |order: &[usize]| order.windows(2).all(|pair| pair[1] == pair[0] + 4);
        assert_eq!(facts.c_contiguous, dense(&offsets), "{}", case.name);
        let transposed = case.tensor.transpose().unwrap();
        assert_eq!(facts.f_contiguous, dense(&zoo::element_offsets(&transposed)), "{}", case.name);
        let base = case.tensor.storage().as_ptr().addr();
        let aligned = offsets.iter().all(|offset| (base + offset).is_multiple_of(4));
        assert_eq!(facts.aligned, aligned, "{}", case.name);
        assert_eq!(facts.writable, zoo::reaches_once(&case.tensor), "{}", case.name);
        assert_eq!(
            (facts.len, facts.dtype, facts.device),
            (offsets.len(), DType::F32, Device::Cpu)
        );
        assert!(!case.tensor.into_read_only().facts().writable);
    }
}

/// Receipt, pointer and counter of every conversion are what the plan had said.
#[test]
fn shr_3_a_conversion_does_what_its_plan_said() {
    let step = zoo::stride(307);
    let on_host = |request: &Request| request.device != Some(Device::Cuda(0));
    let requests: Vec<_> = all_requests().into_iter().filter(on_host).step_by(step).collect();
    for case in zoo::zoo(DType::I16) {
        for tensor in [case.tensor.clone(), case.tensor.clone().into_read_only()] {
            for request in &requests {
                let what = format!("{} {request:?}", case.name);
                let planned = plan(&tensor.facts(), request);
                let before = copies();
                let result = tensor.convert(request);
                let copied = copies().bytes - before.bytes;
                match (planned, result) {
                    (Plan::Share, Ok(result)) => {
                        assert_eq!((result.as_ptr(), copied), (tensor.as_ptr(), 0), "{what}");
                        assert_eq!(result.receipt().action(), Action::Shared, "{what}");
                        assert_eq!(result.is_read_only(), tensor.is_read_only(), "{what}");
                        assert_meets(&result, request, &what);
                    }
                    (Plan::Copy { reasons, bytes }, Ok(result)) => {
                        assert!(!result.storage().same_storage(tensor.storage()), "{what}");
                        assert_eq!(
                            result.receipt().action(),
                            Action::Copied { reasons, bytes },
                            "{what}"
                        );
                        assert_eq!(copied, bytes as u64, "{what}");
                        assert_meets(&result, request, &what);
                    }
                    (Plan::Refuse(expected), Err(TensorError::Refused { call, refusal })) => {
                        assert_eq!((call, refusal, copied), ("test", expected, 0), "{what}");
                    }
                    (planned, result) => panic!("{what}: planned {planned}, {result:?}"),
                }
            }
        }
    }
}

fn assert_meets(result: &Tensor, request: &Request, what: &str) {
    assert_eq!(result.receipt().call(), "test", "{what}");
    assert!(request.dtype.is_none_or(|dtype| dtype == result.dtype()), "{what}");
    assert!(request.order.is_none_or(|order| result.is_contiguous(order)), "{what}");
    assert!(!request.aligned || result.is_aligned(), "{what}");
    assert!(
        !request.writable || result.fill(ndbridge_tensor::Scalar::Bool(true)).is_ok(),
        "{what}"
    );
}

/// Bytes of a source in the other byte order, with and without another change.
#[test]
fn shr_3_a_source_in_the_other_byte_order_is_swapped_as_planned() {
    let bytes =
        Tensor::from_vec([0x0102_u16, 0x0304].iter().flat_map(|n| n.to_be_bytes()).collect());
    let stored = bytes.reinterpret(DType::U16).unwrap();
    let byte_order = ByteOrder::Big;
    let facts = Facts { byte_order, ..stored.facts() };
    for request in all_requests().into_iter().filter(|request| request.device.is_none()) {
        if facts.byte_order == ByteOrder::NATIVE {
            return; // there is nothing to swap
        }
        match (plan(&facts, &request), stored.convert_from(&facts, &request)) {
            (Plan::Copy { reasons, bytes }, Ok(copy)) => {
                let values: Vec<f64> =
                    copy.scalars().unwrap().iter().map(|x| x.to_element()).collect();
                assert_eq!(values, [258.0, 772.0], "{request:?}");
                assert_eq!(
                    copy.receipt().action(),
                    Action::Copied { reasons, bytes },
                    "{request:?}"
                );
                assert!(reasons.contains(CopyReason::ByteOrder));
                assert_meets(&copy, &request, "swapped");
            }
            (Plan::Refuse(_), Err(_)) => {}
            (planned, result) => panic!("{request:?}: planned {planned}, {result:?}"),
        }
    }
}

#[test]
fn shr_3_plans_read_well() {
    let facts = Tensor::from_vec(vec![0_i32; 1000]).facts();
    let request = Request::new("asarray").with_dtype(DType::F64);
    assert_eq!(plan(&facts, &Request::new("asarray")).to_string(), "share");
    assert_eq!(plan(&facts, &request).to_string(), "copy 7.8 KiB (dtype)");
    let never = request.with_copy(CopyRule::Never);
    let refused = plan(&facts, &never).to_string();
    assert_eq!(
        refused,
        "refuse: cannot share int32 as float64 (dtype): allow a copy (copies 7.8 KiB)"
    );
    let elsewhere = Request { device: Some(Device::Cuda(1)), ..Request::new("to") };
    assert_eq!(plan(&facts, &elsewhere).to_string(), "copy 3.9 KiB (device)");
    let device = Device::Cuda(1);
    let missing = Plan::Refuse(Refusal::NoDevice { device });
    assert_eq!(missing.to_string(), "refuse: there is no device cuda:1");
}

//! Random sequences of everything, on several streams and devices, beside the host doing the same.

use ndbridge_cuda::{self as cuda, Stream, StreamScope};
use ndbridge_cuda_emulator::Session;
use ndbridge_tensor::storage::BorrowKind;
use ndbridge_tensor::{CopyOrder, DType, Device, Scalar, Tensor};

use crate::bytes_of_elements;
use crate::zoo::element_bytes;

const SEQUENCES: u64 = 500;
const STEPS: usize = 24;
const DTYPES: [DType; 6] = [DType::U8, DType::I16, DType::F32, DType::F64, DType::BF16, DType::C64];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % below
    }
}

/// A tensor on a device, and the same on the host.
#[derive(Clone)]
struct Pair {
    there: Tensor,
    host: Tensor,
}

struct Run {
    dice: Dice,
    streams: Vec<Vec<Stream>>,
    pairs: Vec<Pair>,
    log: Vec<String>,
}

impl Run {
    fn pick(&mut self) -> Pair {
        let at = self.dice.roll(self.pairs.len());
        self.pairs[at].clone()
    }

    fn push(&mut self, there: Tensor, host: Tensor) {
        self.pairs.push(Pair { there, host });
    }

    fn allocate(&mut self) {
        let axes = 1 + self.dice.roll(3);
        let shape: Vec<isize> = (0..axes).map(|_| 1 + self.dice.roll(6) as isize).collect();
        let len: isize = shape.iter().product();
        let values: Vec<i32> = (0..len).map(|_| self.dice.roll(200) as i32 - 60).collect();
        let dtype = DTYPES[self.dice.roll(DTYPES.len())];
        let host = Tensor::from_vec(values).reshape(&shape).unwrap().to_dtype(dtype).unwrap();
        let ordinal = self.dice.roll(self.streams.len());
        let there = match self.dice.roll(3) {
            0 => host.cuda(ordinal),
            1 => host
                .pin_memory()
                .and_then(|pinned| pinned.to_device_non_blocking(Device::Cuda(ordinal))),
            _ => host.flip(&[0]).and_then(|view| view.cuda(ordinal)?.flip(&[0])),
        };
        self.push(there.unwrap(), host);
    }

    fn view(&mut self) {
        let Pair { there, host } = self.pick();
        let axis = self.dice.roll(host.ndim().max(1)) as isize;
        let choice = if host.ndim() == 0 { 9 } else { self.dice.roll(4) };
        let view = |tensor: &Tensor| match choice {
            0 => tensor.flip(&[axis]).unwrap(),
            1 => tensor.transpose().unwrap(),
            2 => {
                let layout = tensor.layout().slice_axis(axis, Some(0), None, 2).unwrap();
                Tensor::from_parts(tensor.storage().clone(), tensor.dtype(), layout).unwrap()
            }
            3 => tensor.select(axis, 0).unwrap(),
            _ => tensor.clone(),
        };
        self.push(view(&there), view(&host));
    }

    fn copy(&mut self) {
        let Pair { there, host } = self.pick();
        let order = [CopyOrder::C, CopyOrder::F, CopyOrder::Keep][self.dice.roll(3)];
        self.push(there.copy(order).unwrap(), host.copy(order).unwrap());
    }

    fn cast(&mut self) {
        let Pair { there, host } = self.pick();
        let to = DTYPES[self.dice.roll(DTYPES.len())];
        self.push(there.to_dtype(to).unwrap(), host.to_dtype(to).unwrap());
    }

    fn cross(&mut self) {
        let Pair { there, host } = self.pick();
        let to = Device::Cuda(self.dice.roll(self.streams.len()));
        let moved = match self.dice.roll(3) {
            0 => there.to_device(to),
            1 => there.to_device_non_blocking(to),
            _ => there
                .to_device_non_blocking(Device::Cpu)
                .and_then(|back| back.to_device_non_blocking(to)),
        };
        // The same memory where it was there already: then both are.
        let moved = moved.unwrap();
        let host =
            if moved.receipt().is_shared() { host } else { host.copy(CopyOrder::Keep).unwrap() };
        self.push(moved, host);
    }

    fn write(&mut self) {
        let (to, from) = (self.pick(), self.pick());
        if self.dice.roll(2) == 0 {
            let value = Scalar::Int(self.dice.roll(50) as i64);
            assert_eq!(to.there.fill(value).is_ok(), to.host.fill(value).is_ok());
            return;
        }
        let wrote = to.there.assign(&from.there).is_ok();
        assert_eq!(wrote, to.host.assign(&from.host).is_ok());
        // And from the host itself.
        if self.dice.roll(3) == 0 {
            let wrote = to.there.assign(&from.host).is_ok();
            assert_eq!(wrote, to.host.assign(&from.host).is_ok());
        }
    }

    fn export(&mut self) {
        let Pair { there, .. } = self.pick();
        let Device::Cuda(ordinal) = there.device() else { return };
        let at = self.dice.roll(self.streams[ordinal].len());
        let consumer = &self.streams[ordinal][at];
        cuda::hand_over(there.storage(), Some(consumer), BorrowKind::Read).unwrap();
    }

    fn drop_one(&mut self) {
        let at = self.dice.roll(self.pairs.len());
        let pair = self.pairs.swap_remove(at);
        if self.dice.roll(4) == 0 {
            std::thread::spawn(move || drop(pair)).join().unwrap();
        }
    }

    fn step(&mut self) {
        let scopes: Vec<_> = (0..self.streams.len())
            .map(|ordinal| {
                let at = self.dice.roll(self.streams[ordinal].len());
                StreamScope::enter(&self.streams[ordinal][at])
            })
            .collect();
        let choice = if self.pairs.len() < 2 { 0 } else { self.dice.roll(14) };
        self.log.push(format!("{choice}"));
        match choice {
            0 | 1 => self.allocate(),
            2 | 3 => self.view(),
            4 | 5 => self.copy(),
            6 | 7 => self.cast(),
            8 | 9 => self.cross(),
            10 | 11 => self.write(),
            12 => self.export(),
            _ => self.drop_one(),
        }
        scopes.into_iter().rev().for_each(drop);
    }
}

#[test]
fn dev_random_sequences_give_the_hosts_values() {
    let session = Session::start();
    let devices = cuda::device_count().unwrap().min(2);
    let streams: Vec<Vec<Stream>> = (0..devices)
        .map(|ordinal| (0..3).map(|_| Stream::new(ordinal).unwrap()).collect())
        .collect();
    for ordinal in 0..devices {
        cuda::empty_cache(ordinal).unwrap();
    }
    let before = ndbridge_cuda_emulator::live();
    for sequence in 1..=SEQUENCES {
        let dice = Dice(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut run = Run { dice, streams: streams.clone(), pairs: Vec::new(), log: Vec::new() };
        for _ in 0..STEPS {
            run.step();
        }
        for (at, Pair { there, host }) in run.pairs.iter().enumerate() {
            let expected = element_bytes(&host.copy(CopyOrder::C).unwrap());
            assert_eq!(
                bytes_of_elements(there),
                expected,
                "sequence {sequence}: {at} of {:?}",
                run.log
            );
        }
        if session.is_emulated() {
            let violations = ndbridge_cuda_emulator::violations();
            assert!(violations.is_empty(), "sequence {sequence}, {:?}: {violations:#?}", run.log);
        }
    }
    for ordinal in 0..devices {
        cuda::empty_cache(ordinal).unwrap();
    }
    session.assert_no_leak(before);
}

//! Modules and kernels.

use std::ffi::{c_int, c_uint, c_void};

use crate::arguments::{KernelArguments, Out, Text};
use crate::code::{Code, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, NOT_FOUND};
use crate::machine::{Function, Machine, Module};
use crate::ptx::entries;
use crate::violation::Violation;
use crate::work::{Launch, Work};

const MAX_THREADS: u64 = 1024;
const MAX_SHARED_BYTES: c_uint = 48 << 10;

driver_functions! {
    cuModuleLoadDataEx(
        out: Out<u64>, image: Text, _count: c_uint, _options: Out<c_int>, _values: Out<*mut c_void>,
    ) @context |machine| { out.put(machine.load(context, &image)?) }
    cuModuleLoadData(out: Out<u64>, image: Text) @context |machine| {
        out.put(machine.load(context, &image)?)
    }
    cuModuleUnload(module: u64) @_context |machine| {
        machine.functions.retain(|_, function| function.module != module);
        machine.modules.remove(&module).map(drop).ok_or(INVALID_HANDLE)
    }
    cuModuleGetFunction(out: Out<u64>, module: u64, name: Text) @_context |machine| {
        out.put(machine.function(module, name.to_str()?)?)
    }
    cuLaunchKernel(
        function: u64, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared: c_uint, stream: u64, arguments: KernelArguments, extra: usize,
    ) @context |machine| {
        let grid = [grid_x, grid_y, grid_z];
        let threads = u64::from(block_x) * u64::from(block_y) * u64::from(block_z);
        let is_grid = grid.iter().all(|n| *n > 0) && grid_x <= i32::MAX as c_uint
            && grid_y <= 65535 && grid_z <= 65535;
        let is_block = (1..=MAX_THREADS).contains(&threads) && shared <= MAX_SHARED_BYTES;
        if !is_grid || !is_block || extra != 0 {
            return Err(INVALID_VALUE);
        }
        let Function { module, kernel } = *machine.functions.get(&function).ok_or(INVALID_HANDLE)?;
        let stream = machine.stream(stream, context)?;
        let handle = machine.contexts[context].handle;
        if machine.streams[&stream].context != handle || machine.modules[&module].context != handle {
            return Err(INVALID_HANDLE);
        }
        let arguments = arguments.copy(kernel.params)?;
        let (threads, shared_bytes) = (threads as u32, shared as usize);
        let launch = Launch { kernel, grid, threads, shared_bytes, arguments };
        machine.submit(stream, kernel.name, Work::Launch(launch)).map(drop)
    }
}

impl Machine {
    fn load(&mut self, context: usize, image: &Text) -> Result<u64, Code> {
        self.unsafe_in_capture("cuModuleLoadData")?;
        let text = image.to_str().map_err(|_| INVALID_PTX)?;
        let entries = entries(text).ok_or(INVALID_PTX)?;
        let handle = self.handle();
        let context = self.contexts[context].handle;
        self.modules.insert(handle, Module { context, entries });
        Ok(handle)
    }

    fn function(&mut self, module: u64, name: &str) -> Result<u64, Code> {
        let module_of = self.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let sizes = module_of.entries.get(name).ok_or(NOT_FOUND)?;
        let kernel = *self.kernels.get(name).ok_or(NOT_FOUND)?;
        if sizes != kernel.params {
            let (ptx, host) = (sizes.clone(), kernel.params.to_vec());
            let name = name.to_owned();
            self.violations.push(Violation::KernelParameters { name, ptx, host });
            return Err(NOT_FOUND);
        }
        let handle = self.handle();
        self.functions.insert(handle, Function { module, kernel });
        Ok(handle)
    }
}

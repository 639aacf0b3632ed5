//! The rules for a web page: four functions that JavaScript calls.
//!
//! JavaScript writes JSON to the buffer that [`input`] returns, calls [`judge`] or [`catalog`], and reads as many bytes as
//! the call returns from [`output`]. The types of the JSON are [`Request`] and [`Judgement`].

mod catalog;
mod document;
mod judge;
mod judgement;
mod kubectl;
mod request;
mod text;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use judgement::Judgement;
use request::Request;
use serde::Serialize;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Returns a buffer for `bytes` bytes of input.
#[unsafe(no_mangle)]
pub extern "C" fn input(bytes: usize) -> *mut u8 {
    let mut input = locked(&INPUT);
    input.clear();
    input.resize(bytes, 0);
    input.as_mut_ptr()
}

/// Returns the output of the last call.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    locked(&OUTPUT).as_ptr()
}

/// Judges the [`Request`] in the input, and returns the number of bytes of the [`Judgement`].
#[unsafe(no_mangle)]
pub extern "C" fn judge() -> usize {
    let input = locked(&INPUT);
    written(&match serde_json::from_slice::<Request<'_>>(&input) {
        Ok(request) => judge::judge(&request),
        Err(error) => Judgement::failed(format!("the request of the page cannot be read: {error}")),
    })
}

/// Returns the number of bytes of the rules with their examples, and of the phases.
#[unsafe(no_mangle)]
pub extern "C" fn catalog() -> usize {
    written(&catalog::catalog())
}

fn written(value: &impl Serialize) -> usize {
    let mut output = locked(&OUTPUT);
    // This cannot fail: that takes a map whose keys are not strings.
    *output = serde_json::to_vec(value).unwrap_or_default();
    output.len()
}

/// WebAssembly has one thread, so no lock is held or poisoned.
fn locked(buffer: &'static Mutex<Vec<u8>>) -> MutexGuard<'static, Vec<u8>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The functions that a web page calls. The page writes a request where `reserve` says, calls `check`, and reads the
//! answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

static REQUEST: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Makes room for a request of this many bytes, and returns its address.
#[expect(unsafe_code, reason = "a page finds the function by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn reserve(length: usize) -> *mut u8 {
    let mut request = lock(&REQUEST);
    request.clear();
    request.resize(length, 0);
    request.as_mut_ptr()
}

/// Checks the request, and returns the address of the answer.
#[expect(unsafe_code, reason = "a page finds the function by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn check() -> *const u8 {
    let request = std::mem::take(&mut *lock(&REQUEST));
    let mut answer = lock(&ANSWER);
    *answer = crate::answer(&request).json;
    answer.as_ptr()
}

/// The length of the answer in bytes.
#[expect(unsafe_code, reason = "a page finds the function by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn answer_length() -> usize {
    lock(&ANSWER).len()
}

/// There is one thread, and a panic ends the instance: the lock is always free.
fn lock(buffer: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

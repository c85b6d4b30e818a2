//! The commands of the store, each of them one step on the server.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::token_store::StoredValue;

/// A sealed token has a few kilobytes. The beginning of anything longer is enough to see that it is none.
const LONGEST_VALUE: usize = 64 * 1024;

/// Value and remaining milliseconds. What is no string, or has no end, was not stored by this crate: it is given as a
/// value that does not open.
const GET: &str = "local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return false end
if type(value) == 'table' or left == -1 then return {'', 0} end
return {value, left}";

const PUT: &str = "local mine = redis.pcall('GET', KEYS[2]) == ARGV[1]
if not mine and redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if mine then redis.call('DEL', KEYS[2]) end
return 1";

/// A lock that has no end, or is no string, was not taken by this crate, and no process would end it.
const TRY_LOCK: &str = "local holder = redis.pcall('GET', KEYS[1])
local another = type(holder) == 'string' and holder ~= ARGV[1]
if another and redis.call('PTTL', KEYS[1]) >= 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// A lock or a value.
const REMOVE: &str = "if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// The braces keep the keys of one name in one slot of a cluster.
fn value_key(name: &str) -> String {
    format!("idaas:{{{name}}}")
}

fn lock_key(name: &str) -> String {
    format!("idaas:{{{name}}}:lock")
}

fn eval(script: &str, keys: &[String]) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVAL").arg(script).arg(keys.len()).arg(keys);
    command
}

fn millis(duration: Duration) -> u64 {
    // Zero is no time to live.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}

pub(super) fn get(name: &str) -> Cmd {
    let mut command = eval(GET, &[value_key(name)]);
    command.arg(LONGEST_VALUE - 1);
    command
}

pub(super) fn put(name: &str, owner: &str, value: &[u8], life: Duration) -> Cmd {
    let mut command = eval(PUT, &[value_key(name), lock_key(name)]);
    command.arg(owner).arg(value).arg(millis(life));
    command
}

pub(super) fn try_lock(name: &str, owner: &str, lease: Duration) -> Cmd {
    let mut command = eval(TRY_LOCK, &[lock_key(name)]);
    command.arg(owner).arg(millis(lease));
    command
}

pub(super) fn unlock(name: &str, owner: &str) -> Cmd {
    let mut command = eval(REMOVE, &[lock_key(name)]);
    command.arg(owner);
    command
}

pub(super) fn remove(name: &str, value: &[u8]) -> Cmd {
    let mut command = eval(REMOVE, &[value_key(name)]);
    command.arg(value);
    command
}

/// Asks a sentinel where the master of this name is.
pub(super) fn master_address(master: &str) -> Cmd {
    let mut command = Cmd::new();
    command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    command
}

/// Lets the next command ask a node of a cluster for a key that is being moved to it.
pub(super) fn asking() -> Cmd {
    let mut command = Cmd::new();
    command.arg("ASKING");
    command
}

/// What [`get`] has found; `Err` when the response is not one to it.
pub(super) fn read_get(response: Value) -> Result<Option<StoredValue>, ()> {
    match response {
        Value::Nil => Ok(None),
        Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::BulkString(value), Value::Int(left)]) => {
                let remaining = u64::try_from(left).ok().map(Duration::from_millis);
                let stored = StoredValue::new(value);
                Ok(Some(match remaining {
                    Some(remaining) => stored.with_remaining(remaining),
                    None => stored,
                }))
            }
            _ => Err(()),
        },
        _ => Err(()),
    }
}

/// Whether the command did what it is for.
pub(super) fn read_done(response: &Value) -> Result<bool, ()> {
    match response {
        Value::Int(number) => Ok(*number > 0),
        _ => Err(()),
    }
}

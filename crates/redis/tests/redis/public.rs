//! The public interface: what crosses threads.

use std::sync::Arc;

use tower_idaas_redis::{MemoryStore, RedisStore, RedisStoreBuilder, SharedStore, StoredValue, TokenStore};

fn crosses_threads<T: Send + Sync + 'static>() {}

fn is_a_store<T: TokenStore + ?Sized>() {}

#[test]
fn all_of_it_crosses_threads() {
    crosses_threads::<RedisStore>();
    crosses_threads::<RedisStoreBuilder>();
    crosses_threads::<SharedStore>();
    crosses_threads::<StoredValue>();
    crosses_threads::<MemoryStore>();
    crosses_threads::<Box<dyn TokenStore>>();
}

#[test]
fn a_store_may_be_behind_a_pointer() {
    is_a_store::<dyn TokenStore>();
    is_a_store::<Arc<dyn TokenStore>>();
    is_a_store::<Box<RedisStore>>();
}

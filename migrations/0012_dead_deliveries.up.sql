-- What an operator looks for in the delivery log. Nearly all deliveries succeed, and aren't in this index.
CREATE INDEX deliveries_dead ON deliveries (identity_id,webhook_id,inbox_seq) WHERE status = 'dead';

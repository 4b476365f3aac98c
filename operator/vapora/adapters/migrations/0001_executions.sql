-- One subset of SQL for SQLite and PostgreSQL. Times are microseconds since 1970, days are counted since then, an empty
-- text says nothing, and lists are words with blanks between. An edge of the graph is a column here: executed (pool),
-- of_type, failed_with (error_signature), assigned_over (runner_up), depends_on, produced, deployed; resolved_by joins a
-- failure with a later try of the same id up to its last slash.
CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL,
    workflow TEXT NOT NULL,
    step TEXT NOT NULL,
    item BIGINT,
    try BIGINT NOT NULL,
    pool TEXT NOT NULL,
    role TEXT NOT NULL,
    task_type TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    started BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    quality DOUBLE PRECISION,
    tokens BIGINT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    cost_cents BIGINT NOT NULL,
    error_signature TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    exit_code BIGINT,
    message TEXT NOT NULL,
    runner_up TEXT NOT NULL,
    depends_on TEXT NOT NULL,
    produced TEXT NOT NULL,
    deployed TEXT NOT NULL
);

-- What a decision reads: the latest of a pool, and of a pool and task type; and what a pool spent, which needs nothing
-- but the index. Most executions have no pool.
CREATE INDEX executions_by_task_type ON executions (pool, task_type, finished) WHERE pool <> '';

CREATE INDEX executions_by_pool ON executions (pool, finished, cost_cents) WHERE pool <> '';

CREATE INDEX executions_by_error ON executions (error_signature, finished) WHERE error_signature <> '';

-- What retention and the latest of a namespace read.
CREATE INDEX executions_by_end ON executions (finished);

-- What stays of executions that retention let go.
CREATE TABLE days (
    day BIGINT NOT NULL,
    namespace TEXT NOT NULL,
    pool TEXT NOT NULL,
    task_type TEXT NOT NULL,
    executions BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    quality_sum DOUBLE PRECISION NOT NULL,
    quality_count BIGINT NOT NULL,
    latency BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    cost_cents BIGINT NOT NULL,
    PRIMARY KEY (pool, task_type, day, namespace)
);

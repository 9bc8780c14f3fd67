DROP TABLE sandbox_refusal;

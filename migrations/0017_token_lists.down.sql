DROP INDEX tokens_credential;

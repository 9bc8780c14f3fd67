DROP TABLE awaited_logins;

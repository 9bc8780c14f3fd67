DROP INDEX contacts_phone;
DROP TABLE ghost_phones;

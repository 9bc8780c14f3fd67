DROP INDEX ghost_phones_phone;

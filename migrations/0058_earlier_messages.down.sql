DELETE FROM settings WHERE name IN ('earlier_sent', 'earlier_events');

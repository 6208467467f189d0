BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'toy');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-11-29 19:32:33');
INSERT INTO "trial_heartbeats" VALUES(2,2,'2026-11-29 19:32:34');
INSERT INTO "trial_heartbeats" VALUES(3,3,'2026-11-29 19:32:35');
INSERT INTO "trial_heartbeats" VALUES(4,4,'2026-11-29 19:32:35');
INSERT INTO "trial_heartbeats" VALUES(5,5,'2026-11-29 19:32:36');
INSERT INTO "trial_heartbeats" VALUES(6,6,'2026-11-29 19:32:36');
INSERT INTO "trial_heartbeats" VALUES(7,7,'2026-11-29 19:32:37');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'attempt','[0, 0]');
INSERT INTO "trial_user_attributes" VALUES(2,1,'claim','"4d6bcdbbc36345f08a141bf8fdc237b8"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'record','{"number": 0, "values": {"kind": "c", "rate": 0.1, "units": 16}, "status": "completed", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.76017, "best_epoch": 9, "epochs": 9, "curves": [{"loss": [0.773225, 0.610734, 0.49430399999999997, 0.41087799999999997, 0.35109999999999997, 0.308268, 0.277578, 0.255587, 0.23983], "accuracy": [0.226775, 0.389266, 0.505696, 0.589122, 0.6489, 0.691732, 0.722422, 0.744413, 0.76017], "val_loss": [0.773225, 0.610734, 0.49430399999999997, 0.41087799999999997, 0.35109999999999997, 0.308268, 0.277578, 0.255587, 0.23983], "val_accuracy": [0.226775, 0.389266, 0.505696, 0.589122, 0.6489, 0.691732, 0.722422, 0.744413, 0.76017]}], "seconds": 1.05, "message": null, "worker": "w", "parts": [[0, 9, 0.76017]]}');
INSERT INTO "trial_user_attributes" VALUES(4,2,'attempt','[1, 0]');
INSERT INTO "trial_user_attributes" VALUES(5,2,'claim','"7c4e2d71aed840feaa92ffbc2afb9d09"');
INSERT INTO "trial_user_attributes" VALUES(6,2,'record','{"number": 1, "values": {"kind": "b", "rate": 1.0, "units": 32, "depth": 2}, "status": "completed", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.722162, "best_epoch": 9, "epochs": 9, "curves": [{"loss": [0.784564, 0.630197, 0.5195879999999999, 0.440334, 0.383545, 0.342855, 0.31369899999999995, 0.29280700000000004, 0.27783800000000003], "accuracy": [0.215436, 0.369803, 0.480412, 0.559666, 0.616455, 0.657145, 0.686301, 0.707193, 0.722162], "val_loss": [0.784564, 0.630197, 0.5195879999999999, 0.440334, 0.383545, 0.342855, 0.31369899999999995, 0.29280700000000004, 0.27783800000000003], "val_accuracy": [0.215436, 0.369803, 0.480412, 0.559666, 0.616455, 0.657145, 0.686301, 0.707193, 0.722162]}], "seconds": 0.19, "message": null, "worker": "w", "parts": [[1, 9, 0.722162]]}');
INSERT INTO "trial_user_attributes" VALUES(7,3,'attempt','[2, 0]');
INSERT INTO "trial_user_attributes" VALUES(8,3,'claim','"2387a4f3e26f4df18038dd246c35c71c"');
INSERT INTO "trial_user_attributes" VALUES(9,3,'record','{"number": 2, "values": {"kind": "c", "rate": 0.001, "units": 8}, "status": "completed", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.342077, "best_epoch": 9, "epochs": 9, "curves": [{"loss": [0.8979509999999999, 0.82483, 0.772437, 0.7348950000000001, 0.7079949999999999, 0.688721, 0.67491, 0.665014, 0.657923], "accuracy": [0.102049, 0.17517, 0.227563, 0.265105, 0.292005, 0.311279, 0.32509, 0.334986, 0.342077], "val_loss": [0.8979509999999999, 0.82483, 0.772437, 0.7348950000000001, 0.7079949999999999, 0.688721, 0.67491, 0.665014, 0.657923], "val_accuracy": [0.102049, 0.17517, 0.227563, 0.265105, 0.292005, 0.311279, 0.32509, 0.334986, 0.342077]}], "seconds": 0.183, "message": null, "worker": "w", "parts": [[2, 9, 0.342077]]}');
INSERT INTO "trial_user_attributes" VALUES(10,4,'attempt','[3, 0]');
INSERT INTO "trial_user_attributes" VALUES(11,4,'claim','"3dcca1b94e904819ba987303ca489bbf"');
INSERT INTO "trial_user_attributes" VALUES(12,4,'record','{"number": 3, "values": {"kind": "b", "rate": 1.0, "units": 32, "depth": 3}, "status": "completed", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.741166, "best_epoch": 9, "epochs": 9, "curves": [{"loss": [0.778894, 0.620465, 0.506946, 0.42560600000000004, 0.36732299999999996, 0.325562, 0.29563799999999996, 0.274197, 0.258834], "accuracy": [0.221106, 0.379535, 0.493054, 0.574394, 0.632677, 0.674438, 0.704362, 0.725803, 0.741166], "val_loss": [0.778894, 0.620465, 0.506946, 0.42560600000000004, 0.36732299999999996, 0.325562, 0.29563799999999996, 0.274197, 0.258834], "val_accuracy": [0.221106, 0.379535, 0.493054, 0.574394, 0.632677, 0.674438, 0.704362, 0.725803, 0.741166]}], "seconds": 0.17, "message": null, "worker": "w", "parts": [[3, 9, 0.741166]]}');
INSERT INTO "trial_user_attributes" VALUES(13,5,'attempt','[4, 0]');
INSERT INTO "trial_user_attributes" VALUES(14,5,'claim','"78674fa4ea1846fab2d8a010414c3432"');
INSERT INTO "trial_user_attributes" VALUES(15,5,'record','{"number": 4, "values": {"kind": "b", "rate": 1.0, "units": 8, "depth": 1}, "status": "completed", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.741166, "best_epoch": 9, "epochs": 9, "curves": [{"loss": [0.778894, 0.620465, 0.506946, 0.42560600000000004, 0.36732299999999996, 0.325562, 0.29563799999999996, 0.274197, 0.258834], "accuracy": [0.221106, 0.379535, 0.493054, 0.574394, 0.632677, 0.674438, 0.704362, 0.725803, 0.741166], "val_loss": [0.778894, 0.620465, 0.506946, 0.42560600000000004, 0.36732299999999996, 0.325562, 0.29563799999999996, 0.274197, 0.258834], "val_accuracy": [0.221106, 0.379535, 0.493054, 0.574394, 0.632677, 0.674438, 0.704362, 0.725803, 0.741166]}], "seconds": 0.188, "message": null, "worker": "w", "parts": [[4, 9, 0.741166]]}');
INSERT INTO "trial_user_attributes" VALUES(16,6,'attempt','[5, 0]');
INSERT INTO "trial_user_attributes" VALUES(17,6,'claim','"b6196cf083ba44cabd42d7c14912f0ed"');
INSERT INTO "trial_user_attributes" VALUES(18,6,'record','{"number": 5, "values": {"kind": "c", "rate": 0.01, "units": 32}, "status": "pruned", "epoch_limit": null, "starts": 1, "failures": 0, "score": 0.45657, "best_epoch": 4, "epochs": 4, "curves": [{"loss": [0.824249, 0.698319, 0.608085, 0.5434300000000001], "accuracy": [0.175751, 0.301681, 0.391915, 0.45657], "val_loss": [0.824249, 0.698319, 0.608085, 0.5434300000000001], "val_accuracy": [0.175751, 0.301681, 0.391915, 0.45657]}], "seconds": 0.073, "message": "worse than the median at epoch 4", "worker": "w", "parts": [[5, 4, 0.45657]]}');
INSERT INTO "trial_user_attributes" VALUES(19,7,'attempt','[6, 0]');
INSERT INTO "trial_user_attributes" VALUES(20,7,'claim','"464f4758688544b49ccd6bb3b9c397af"');
INSERT INTO "trial_user_attributes" VALUES(21,7,'record','{"number": 6, "values": {"kind": "b", "rate": 0.01, "units": 16, "depth": 1}, "status": "running", "epoch_limit": null, "starts": 1, "failures": 0, "score": null, "best_epoch": null, "epochs": 0, "curves": [], "seconds": 0.0, "message": null, "worker": "gone", "parts": []}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.76017,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,0.722162,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,0.342077,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,0.741166,'FINITE');
INSERT INTO "trial_values" VALUES(5,5,0,0.741166,'FINITE');
INSERT INTO "trial_values" VALUES(6,6,0,0.45657,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-29 19:32:33.365763','2026-11-29 19:32:34.748195');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-29 19:32:34.829110','2026-11-29 19:32:35.221348');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-29 19:32:35.293996','2026-11-29 19:32:35.698436');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-29 19:32:35.781453','2026-11-29 19:32:36.159637');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-29 19:32:36.240183','2026-11-29 19:32:36.621317');
INSERT INTO "trials" VALUES(6,5,1,'PRUNED','2026-11-29 19:32:36.711833','2026-11-29 19:32:37.009407');
INSERT INTO "trials" VALUES(7,6,1,'RUNNING','2026-11-29 19:32:37.150247',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;

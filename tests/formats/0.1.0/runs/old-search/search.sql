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
INSERT INTO "studies" VALUES(1,'search');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
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
INSERT INTO "study_user_attributes" VALUES(1,1,'origin','{"config": {"task": "hand_bone", "seed": 42, "fold": 0, "data.exclude": [], "data.extra_roots": [], "data.folds": 5, "data.fold_files": "folds", "data.bent_weight": 1.0, "transform.size_px": 64, "transform.mean": 0.122, "transform.std": 0.168, "transform.train": [{"name": "hflip", "p": 0.5}, {"name": "noise", "low": 0.01, "high": 0.04, "p": 0.5}], "transform.evaluate": [], "model.name": "linknet", "model.encoder": "tu-test_byobnet", "model.encoder_weights": null, "model.encoder_depth": 2, "model.encoder_options": null, "model.decoder": null, "loss.name": "dice_bce", "loss.dice_weight": 0.5, "loss.bce_weight": 0.5, "loss.smooth": 0.0, "loss.per": "batch", "optimizer.name": "sgd", "optimizer.lr": 2.0, "optimizer.encoder_lr": null, "optimizer.weight_decay": 0.0001, "optimizer.momentum": 0.9, "optimizer.nesterov": true, "scheduler.name": "cosine", "scheduler.warmup_epochs": 0.0, "scheduler.min_lr": 1e-06, "trainer.epochs": 2, "trainer.batch_size": 2, "trainer.accumulate": 1, "trainer.precision": "fp32", "trainer.clip_norm": null, "trainer.channels_last": true, "trainer.sync_batch_norm": true, "trainer.ema_decay": 0.9, "trainer.swa_from_epoch": null, "trainer.evaluate_every": 1, "trainer.overfit_batches": 0, "trainer.fast_dev_run": false, "early_stopping": null, "predict.threshold": 0.3, "predict.postprocess": [], "predict.average": "probabilities", "predict.windows.size_px": null, "predict.windows.stride_px": null, "predict.windows.sigma": 0.125, "predict.tta.hflip": false, "predict.tta.scales": [], "predict.tta.rotations_deg": [], "predict.tta.gammas": [], "predict.tta.validation": true}, "space": {"optimizer.lr": {"low": 0.01, "high": 1, "log": true, "step": null}, "trainer.accumulate": {"low": 1, "high": 3, "log": false, "step": null}, "loss": {"choices": ["dice", {"name": "focal", "gamma": 1.5}]}}}');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
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
INSERT INTO "trial_intermediate_values" VALUES(1,1,0,8.05459577951111657667e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,1,8.05459577951111657667e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,2,0,8.05459577951111657667e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,1,8.05459577951111657667e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,3,0,8.05459577951111657667e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,3,1,8.05459577951111657667e-03,'FINITE');
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
INSERT INTO "trial_params" VALUES(1,1,'optimizer.lr',5.61151641533450609711e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(2,1,'trainer.accumulate',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(3,1,'loss',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["\"dice\"", "{\"name\": \"focal\", \"gamma\": 1.5}"]}}');
INSERT INTO "trial_params" VALUES(4,2,'optimizer.lr',1.69867045350550679994e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(5,2,'trainer.accumulate',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(6,2,'loss',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["\"dice\"", "{\"name\": \"focal\", \"gamma\": 1.5}"]}}');
INSERT INTO "trial_params" VALUES(7,3,'optimizer.lr',4.6739525307725582337e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.01, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(8,3,'trainer.accumulate',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 3}}');
INSERT INTO "trial_params" VALUES(9,3,'loss',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["\"dice\"", "{\"name\": \"focal\", \"gamma\": 1.5}"]}}');
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
INSERT INTO "trial_user_attributes" VALUES(1,1,'number','1');
INSERT INTO "trial_user_attributes" VALUES(2,1,'outcome','{"state": "done", "dice": 0.0080546, "epochs": 2, "seconds": 0.711247, "reason": ""}');
INSERT INTO "trial_user_attributes" VALUES(3,2,'number','2');
INSERT INTO "trial_user_attributes" VALUES(4,2,'outcome','{"state": "done", "dice": 0.0080546, "epochs": 2, "seconds": 0.268575, "reason": ""}');
INSERT INTO "trial_user_attributes" VALUES(5,3,'number','3');
INSERT INTO "trial_user_attributes" VALUES(6,3,'outcome','{"state": "done", "dice": 0.0080546, "epochs": 2, "seconds": 0.22385349999999998, "reason": ""}');
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
INSERT INTO "trial_values" VALUES(1,1,0,0.0080546,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,0.0080546,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,0.0080546,'FINITE');
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
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-26 23:01:00.437461','2026-11-26 23:01:06.076626');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-26 23:01:06.132554','2026-11-26 23:01:11.215332');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-26 23:01:11.278827','2026-11-26 23:01:15.726741');
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

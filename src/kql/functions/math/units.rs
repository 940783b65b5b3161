//! `convert_length` and its kin: a value of one unit in another.

use crate::kql::functions::{Check, Function, Naming, row};
use crate::kql::value::Value;

/// A unit and how much of the quantity's base one of it is.
type Units = &'static [(&'static str, f64)];

/// A row for a quantity whose units are multiples of each other.
macro_rules! linear {
    ($name:literal, $units:expr) => {
        row($name, "real, string, string -> real", Naming::None, |a| {
            convert(
                a,
                |value, unit| Some(value * factor($units, unit)?),
                |value, unit| Some(value / factor($units, unit)?),
            )
        })
        .checked((|a| known(a, |unit| factor($units, unit).is_some())) as Check)
    };
}
pub(super) fn table() -> Vec<Function> {
    const TAKES: &str = "real, string, string -> real";
    let unnamed = Naming::None;
    vec![
        row("convert_angle", TAKES, unnamed, |a| {
            convert(a, angle_to_degrees, angle_from_degrees)
        })
        .checked(|a| known(a, |unit| unit == "Tilt" || factor(ANGLES, unit).is_some())),
        row("convert_temperature", TAKES, unnamed, |a| {
            convert(a, to_kelvin, from_kelvin)
        })
        .checked(|a| known(a, |unit| to_kelvin(0.0, unit).is_some())),
        linear!("convert_energy", ENERGIES),
        linear!("convert_force", FORCES),
        linear!("convert_length", LENGTHS),
        linear!("convert_mass", MASSES),
        linear!("convert_speed", SPEEDS),
        linear!("convert_volume", VOLUMES),
    ]
}

type Step = fn(f64, &str) -> Option<f64>;

fn convert<'a>(args: &[Value<'a>], to_base: Step, from_base: Step) -> Value<'a> {
    let (from, to) = (args[1].text(), args[2].text());
    args[0]
        .as_real()
        .and_then(|value| from_base(to_base(value, from)?, to))
        .into()
}

fn known(args: &[Option<Value<'static>>], is_unit: fn(&str) -> bool) -> Result<(), String> {
    for unit in args.iter().skip(1).flatten() {
        if !is_unit(unit.text()) {
            return Err(format!("`{}` is not a unit of this quantity", unit.text()));
        }
    }
    Ok(())
}

fn factor(units: Units, unit: &str) -> Option<f64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
}

/// `Tilt` is the sine of the angle, so it is no multiple of a degree.
fn angle_to_degrees(value: f64, unit: &str) -> Option<f64> {
    match unit {
        "Tilt" => Some(value.asin().to_degrees()),
        _ => Some(value * factor(ANGLES, unit)?),
    }
}

fn angle_from_degrees(value: f64, unit: &str) -> Option<f64> {
    match unit {
        "Tilt" => Some(value.to_radians().sin()),
        _ => Some(value / factor(ANGLES, unit)?),
    }
}

const ZERO_CELSIUS: f64 = 273.15;

fn to_kelvin(value: f64, unit: &str) -> Option<f64> {
    Some(match unit {
        "Kelvin" => value,
        "DegreeCelsius" => value + ZERO_CELSIUS,
        "MillidegreeCelsius" => value / 1000.0 + ZERO_CELSIUS,
        "DegreeDelisle" => ZERO_CELSIUS + 100.0 - value * 2.0 / 3.0,
        "DegreeFahrenheit" => (value + 459.67) * 5.0 / 9.0,
        "DegreeNewton" => value * 100.0 / 33.0 + ZERO_CELSIUS,
        "DegreeRankine" => value * 5.0 / 9.0,
        "DegreeReaumur" => value * 5.0 / 4.0 + ZERO_CELSIUS,
        "DegreeRoemer" => (value - 7.5) * 40.0 / 21.0 + ZERO_CELSIUS,
        "SolarTemperature" => value * 5778.0,
        _ => return None,
    })
}

fn from_kelvin(kelvin: f64, unit: &str) -> Option<f64> {
    let celsius = kelvin - ZERO_CELSIUS;
    Some(match unit {
        "Kelvin" => kelvin,
        "DegreeCelsius" => celsius,
        "MillidegreeCelsius" => celsius * 1000.0,
        "DegreeDelisle" => (100.0 - celsius) * 3.0 / 2.0,
        "DegreeFahrenheit" => kelvin * 9.0 / 5.0 - 459.67,
        "DegreeNewton" => celsius * 33.0 / 100.0,
        "DegreeRankine" => kelvin * 9.0 / 5.0,
        "DegreeReaumur" => celsius * 4.0 / 5.0,
        "DegreeRoemer" => celsius * 21.0 / 40.0 + 7.5,
        "SolarTemperature" => kelvin / 5778.0,
        _ => return None,
    })
}

/// In degrees.
const ANGLES: Units = &[
    ("Arcminute", 1.0 / 60.0),
    ("Arcsecond", 1.0 / 3600.0),
    ("Centiradian", 1e-2 * (180.0 / std::f64::consts::PI)),
    ("Deciradian", 1e-1 * (180.0 / std::f64::consts::PI)),
    ("Degree", 1.0),
    ("Gradian", 0.9),
    ("Microdegree", 1e-6),
    ("Microradian", 1e-6 * (180.0 / std::f64::consts::PI)),
    ("Millidegree", 1e-3),
    ("Milliradian", 1e-3 * (180.0 / std::f64::consts::PI)),
    ("Nanodegree", 1e-9),
    ("Nanoradian", 1e-9 * (180.0 / std::f64::consts::PI)),
    ("NatoMil", 360.0 / 6400.0),
    ("Radian", 180.0 / std::f64::consts::PI),
    ("Revolution", 360.0),
];

/// In joules.
const ENERGIES: Units = &[
    ("BritishThermalUnit", 1055.055_852_62),
    ("Calorie", 4.184),
    ("DecathermEc", 1.055_055_852_62e9),
    ("DecathermImperial", 1.055_055_852_573_48e9),
    ("DecathermUs", 1.054_804e9),
    ("ElectronVolt", 1.602_176_634e-19),
    ("Erg", 1e-7),
    ("FootPound", 1.355_817_948_331_400_4),
    ("GigabritishThermalUnit", 1e9 * 1055.055_852_62),
    ("GigaelectronVolt", 1e9 * 1.602_176_634e-19),
    ("Gigajoule", 1e9),
    ("GigawattDay", 1e9 * 86_400.0),
    ("GigawattHour", 1e9 * 3600.0),
    ("HorsepowerHour", 2.684_519_537_7e6),
    ("Joule", 1.0),
    ("KilobritishThermalUnit", 1e3 * 1055.055_852_62),
    ("Kilocalorie", 1e3 * 4.184),
    ("KiloelectronVolt", 1e3 * 1.602_176_634e-19),
    ("Kilojoule", 1e3),
    ("KilowattDay", 1e3 * 86_400.0),
    ("KilowattHour", 1e3 * 3600.0),
    ("MegabritishThermalUnit", 1e6 * 1055.055_852_62),
    ("Megacalorie", 1e6 * 4.184),
    ("MegaelectronVolt", 1e6 * 1.602_176_634e-19),
    ("Megajoule", 1e6),
    ("MegawattDay", 1e6 * 86_400.0),
    ("MegawattHour", 1e6 * 3600.0),
    ("Millijoule", 1e-3),
    ("TeraelectronVolt", 1e12 * 1.602_176_634e-19),
    ("TerawattDay", 1e12 * 86_400.0),
    ("TerawattHour", 1e12 * 3600.0),
    ("ThermEc", 1.055_055_852_62e8),
    ("ThermImperial", 1.055_055_852_573_48e8),
    ("ThermUs", 1.054_804e8),
    ("WattDay", 86_400.0),
    ("WattHour", 3600.0),
];

/// In newtons.
const FORCES: Units = &[
    ("Decanewton", 1e1),
    ("Dyn", 1e-5),
    ("KilogramForce", 9.806_65),
    ("Kilonewton", 1e3),
    ("KiloPond", 9.806_65),
    ("KilopoundForce", 4448.221_615_260_5),
    ("Meganewton", 1e6),
    ("Micronewton", 1e-6),
    ("Millinewton", 1e-3),
    ("Newton", 1.0),
    ("OunceForce", 0.278_013_850_953_781_2),
    ("Poundal", 0.138_254_954_376),
    ("PoundForce", 4.448_221_615_260_5),
    ("ShortTonForce", 8896.443_230_521),
    ("TonneForce", 9806.65),
];

/// In metres.
const LENGTHS: Units = &[
    ("Angstrom", 1e-10),
    ("AstronomicalUnit", 1.495_978_707e11),
    ("Centimeter", 1e-2),
    ("Chain", 20.1168),
    ("DataMile", 1828.8),
    ("Decameter", 1e1),
    ("Decimeter", 1e-1),
    ("DtpPica", 0.0254 / 6.0),
    ("DtpPoint", 0.0254 / 72.0),
    ("Fathom", 1.8288),
    ("Foot", 0.3048),
    ("Hand", 0.1016),
    ("Hectometer", 1e2),
    ("Inch", 0.0254),
    ("KilolightYear", 1e3 * 9.460_730_472_580_8e15),
    ("Kilometer", 1e3),
    ("Kiloparsec", 1e3 * 3.085_677_581_491_367e16),
    ("LightYear", 9.460_730_472_580_8e15),
    ("MegalightYear", 1e6 * 9.460_730_472_580_8e15),
    ("Megaparsec", 1e6 * 3.085_677_581_491_367e16),
    ("Meter", 1.0),
    ("Microinch", 2.54e-8),
    ("Micrometer", 1e-6),
    ("Mil", 2.54e-5),
    ("Mile", 1609.344),
    ("Millimeter", 1e-3),
    ("Nanometer", 1e-9),
    ("NauticalMile", 1852.0),
    ("Parsec", 3.085_677_581_491_367e16),
    ("PrinterPica", 12.0 * 0.0254 / 72.27),
    ("PrinterPoint", 0.0254 / 72.27),
    ("Shackle", 27.432),
    ("SolarRadius", 6.9551e8),
    ("Twip", 0.0254 / 1440.0),
    ("UsSurveyFoot", 1200.0 / 3937.0),
    ("Yard", 0.9144),
];

/// In kilograms.
const MASSES: Units = &[
    ("Centigram", 1e-2 * 1e-3),
    ("Decagram", 1e1 * 1e-3),
    ("Decigram", 1e-1 * 1e-3),
    ("EarthMass", 5.9722e24),
    ("Grain", 6.479_891e-5),
    ("Gram", 1e-3),
    ("Hectogram", 1e2 * 1e-3),
    ("Kilogram", 1e3 * 1e-3),
    ("Kilopound", 1e3 * 0.453_592_37),
    ("Kilotonne", 1e3 * 1e3),
    ("LongHundredweight", 50.802_345_44),
    ("LongTon", 1016.046_908_8),
    ("Megapound", 1e6 * 0.453_592_37),
    ("Megatonne", 1e6 * 1e3),
    ("Microgram", 1e-6 * 1e-3),
    ("Milligram", 1e-3 * 1e-3),
    ("Nanogram", 1e-9 * 1e-3),
    ("Ounce", 0.028_349_523_125),
    ("Pound", 0.453_592_37),
    ("ShortHundredweight", 45.359_237),
    ("ShortTon", 907.184_74),
    ("Slug", 14.593_902_937_206_364),
    ("SolarMass", 1.989_47e30),
    ("Stone", 6.350_293_18),
    ("Tonne", 1e3),
];

/// In metres per second.
const SPEEDS: Units = &[
    ("CentimeterPerHour", 0.01 / 3600.0),
    ("CentimeterPerMinute", 0.01 / 60.0),
    ("CentimeterPerSecond", 0.01),
    ("DecimeterPerMinute", 0.1 / 60.0),
    ("DecimeterPerSecond", 0.1),
    ("FootPerHour", 0.3048 / 3600.0),
    ("FootPerMinute", 0.3048 / 60.0),
    ("FootPerSecond", 0.3048),
    ("InchPerHour", 0.0254 / 3600.0),
    ("InchPerMinute", 0.0254 / 60.0),
    ("InchPerSecond", 0.0254),
    ("KilometerPerHour", 1000.0 / 3600.0),
    ("KilometerPerMinute", 1000.0 / 60.0),
    ("KilometerPerSecond", 1000.0),
    ("Knot", 1852.0 / 3600.0),
    ("MeterPerHour", 1.0 / 3600.0),
    ("MeterPerMinute", 1.0 / 60.0),
    ("MeterPerSecond", 1.0),
    ("MicrometerPerMinute", 1e-6 / 60.0),
    ("MicrometerPerSecond", 1e-6),
    ("MilePerHour", 1609.344 / 3600.0),
    ("MillimeterPerHour", 0.001 / 3600.0),
    ("MillimeterPerMinute", 0.001 / 60.0),
    ("MillimeterPerSecond", 0.001),
    ("NanometerPerMinute", 1e-9 / 60.0),
    ("NanometerPerSecond", 1e-9),
    ("UsSurveyFootPerHour", 1200.0 / 3937.0 / 3600.0),
    ("UsSurveyFootPerMinute", 1200.0 / 3937.0 / 60.0),
    ("UsSurveyFootPerSecond", 1200.0 / 3937.0),
    ("YardPerHour", 0.9144 / 3600.0),
    ("YardPerMinute", 0.9144 / 60.0),
    ("YardPerSecond", 0.9144),
];

/// In cubic metres.
const VOLUMES: Units = &[
    ("AcreFoot", 1.0 / 0.000_810_714),
    ("AuTablespoon", 2e-5),
    ("BoardFoot", 2.359_737_216e-3),
    ("Centiliter", 1e-2 * 1e-3),
    ("CubicCentimeter", 1e-6),
    ("CubicDecimeter", 1e-3),
    ("CubicFoot", 0.028_316_846_592),
    ("CubicHectometer", 1e6),
    ("CubicInch", 1.638_706_4e-5),
    ("CubicKilometer", 1e9),
    ("CubicMeter", 1.0),
    ("CubicMicrometer", 1e-18),
    ("CubicMile", 4.168_181_825_440_58e9),
    ("CubicMillimeter", 1e-9),
    ("CubicYard", 0.764_554_857_984),
    ("Decaliter", 1e1 * 1e-3),
    ("DecausGallon", 1e1 * 3.785_411_784e-3),
    ("Deciliter", 1e-1 * 1e-3),
    ("DeciusGallon", 1e-1 * 3.785_411_784e-3),
    ("HectocubicFoot", 1e2 * 0.028_316_846_592),
    ("HectocubicMeter", 1e2),
    ("Hectoliter", 1e2 * 1e-3),
    ("HectousGallon", 1e2 * 3.785_411_784e-3),
    ("ImperialBeerBarrel", 0.163_659_24),
    ("ImperialGallon", 4.546_09e-3),
    ("ImperialOunce", 2.841_306_25e-5),
    ("ImperialPint", 5.682_612_5e-4),
    ("KilocubicFoot", 1e3 * 0.028_316_846_592),
    ("KilocubicMeter", 1e3),
    ("KiloimperialGallon", 1e3 * 4.546_09e-3),
    ("Kiloliter", 1e3 * 1e-3),
    ("KilousGallon", 1e3 * 3.785_411_784e-3),
    ("Liter", 1e-3),
    ("MegacubicFoot", 1e6 * 0.028_316_846_592),
    ("MegaimperialGallon", 1e6 * 4.546_09e-3),
    ("Megaliter", 1e6 * 1e-3),
    ("MegausGallon", 1e6 * 3.785_411_784e-3),
    ("MetricCup", 2.5e-4),
    ("MetricTeaspoon", 5e-6),
    ("Microliter", 1e-6 * 1e-3),
    ("Milliliter", 1e-3 * 1e-3),
    ("OilBarrel", 0.158_987_294_928),
    ("UkTablespoon", 1.5e-5),
    ("UsBeerBarrel", 0.117_347_765_304),
    ("UsCustomaryCup", 2.365_882_365e-4),
    ("UsGallon", 3.785_411_784e-3),
    ("UsLegalCup", 2.4e-4),
    ("UsOunce", 2.957_352_956_25e-5),
    ("UsPint", 4.731_764_73e-4),
    ("UsQuart", 9.463_529_46e-4),
    ("UsTablespoon", 1.478_676_478_125e-5),
    ("UsTeaspoon", 4.928_921_593_75e-6),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::functions::{Eval, find};

    #[test]
    fn values_go_from_unit_to_unit() {
        for (name, value, from, to, expected) in [
            (
                "convert_speed",
                1.2,
                "MeterPerSecond",
                "CentimeterPerHour",
                432_000.0,
            ),
            (
                "convert_temperature",
                1.2,
                "Kelvin",
                "DegreeCelsius",
                -271.95,
            ),
            (
                "convert_temperature",
                212.0,
                "DegreeFahrenheit",
                "DegreeDelisle",
                0.0,
            ),
            (
                "convert_volume",
                1.2,
                "CubicMeter",
                "AcreFoot",
                0.000_972_856_8,
            ),
            (
                "convert_mass",
                1.2,
                "Kilogram",
                "Pound",
                2.645_547_146_218_53,
            ),
            ("convert_force", 1.2, "Newton", "Decanewton", 0.12),
            ("convert_length", 1.2, "Meter", "Foot", 3.937_007_874_015_75),
            ("convert_angle", 1.2, "Degree", "Arcminute", 72.0),
            ("convert_angle", 30.0, "Degree", "Tilt", 0.5),
            (
                "convert_energy",
                1.2,
                "Joule",
                "BritishThermalUnit",
                0.001_137_380_544_375_98,
            ),
        ] {
            let function = find(name).expect("the function is there");
            let Eval::Row(f) = function.eval else {
                panic!("{name} is a function of rows")
            };
            let args = [Value::Real(value), Value::string(from), Value::string(to)];
            let got = f(&args).as_real().expect("a number");
            assert!(
                (got - expected).abs() <= expected.abs() * 1e-9 + 1e-9,
                "{name}: {got}"
            );
            let check = function.check.expect("units are checked");
            assert!(check(&[None, Some(Value::string(from)), Some(Value::string("Ell"))]).is_err());
            assert!(check(&[None, Some(Value::string(from)), Some(Value::string(to))]).is_ok());
        }
    }
}

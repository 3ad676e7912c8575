using System.Reflection;
using System.Runtime.CompilerServices;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

namespace Mirror.Tests.Peers;

/// <summary>
/// The tests that are left out of every run but the full one, because similar tests are faster. The full run has the environment variable
/// <c>MIRROR_TESTS=full</c>.
/// </summary>
internal static class LongTests
{
    /// <summary>Whether this is the full run.</summary>
    internal static bool AreRun { get; } = Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full";

    /// <summary>The reason for which a test is left out; null in the full run.</summary>
    internal static string? Skip { get; } = AreRun ? null : "takes long: MIRROR_TESTS=full";

    /// <summary>Skips the running test, except in the full run.</summary>
    internal static void OrSkip() => Assert.SkipUnless(AreRun, "takes long: MIRROR_TESTS=full");
}

/// <summary>A <see cref="FactAttribute"/> of the full run only: see <see cref="LongTests"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute([CallerFilePath] string? sourceFilePath = null, [CallerLineNumber] int sourceLineNumber = -1)
        : base(sourceFilePath, sourceLineNumber) => Skip = LongTests.Skip;
}

/// <summary>An <see cref="InlineDataAttribute"/> of the full run only: see <see cref="LongTests"/>.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class LongDataAttribute(params object?[] data) : DataAttribute
{
    public override bool SupportsDiscoveryEnumeration() => true;

    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(MethodInfo testMethod, DisposalTracker disposalTracker) =>
        ValueTask.FromResult<IReadOnlyCollection<ITheoryDataRow>>([new TheoryDataRow(data) { Skip = LongTests.Skip }]);
}

using System.Reflection;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Architecture;

/// <summary>The shape of the code that docs/architecture.md promises.</summary>
public sealed class RoomsTests
{
    private static readonly Arrows Arrows = new(typeof(Server).Assembly, typeof(Digest).Assembly);

    [Fact]
    public void No_room_depends_on_itself_through_others()
    {
        var circles = Arrows.Rooms.Select(Arrows.Circle).OfType<IReadOnlyList<string>>()
            .Select(circle => string.Join("\n", circle.Zip(circle.Skip(1), (from, to) => $"  {from} -> {to}: {Arrows.From(from)[to]}")));

        Assert.True(!circles.Any(), $"rooms that depend on themselves:\n{string.Join("\n\n", circles)}");
    }

    /// <summary>
    /// An interface of the store can have a method with a body. A class around another store that lacks this method would hide that of the
    /// inner one.
    /// </summary>
    [Fact]
    public void A_store_around_another_one_passes_every_call_on()
    {
        const BindingFlags fields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        var hidden = from type in new[] { typeof(Server).Assembly, typeof(Digest).Assembly }.SelectMany(assembly => assembly.GetTypes())
                     where type.IsClass && !type.IsAbstract && !type.ContainsGenericParameters
                     from store in type.GetInterfaces()
                     where store.Assembly == typeof(Digest).Assembly && type.GetFields(fields).Any(field => field.FieldType == store)
                     from method in type.GetInterfaceMap(store).TargetMethods
                     where method.DeclaringType == store
                     select $"{type.Name} lacks {store.Name}.{method.Name}";
        Assert.Empty(hidden);
    }

    [Fact]
    public void No_file_has_more_than_320_lines() =>
        Assert.DoesNotContain(
            Directory.EnumerateFiles(Path.Combine(MirrorProcess.Repository, "src"), "*.cs", SearchOption.AllDirectories),
            file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)
                && File.ReadLines(file).Skip(320).Any());

    [Fact]
    public void Storage_does_not_depend_on_the_web_server() =>
        Assert.DoesNotContain(
            typeof(Digest).Assembly.GetReferencedAssemblies(),
            assembly => assembly.Name!.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));
}
